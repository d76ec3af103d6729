#pragma once
// A data set read front to back in data units; never held whole.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "headstart/data/image_bytes.h"
#include "headstart/data/image_shape.h"

namespace headstart {

/// Images as flat float32 rows of D = C*H*W values in data units: uint8 files give x/127.5 - 1 (range [-1, 1]), float files their own
/// values. After an exception only rewind() makes sense.
class ImageStream {
 public:
  virtual ~ImageStream() = default;

  virtual const ImageShape& shape() const = 0;

  /// Number of images in the whole stream.
  virtual std::int64_t count() const = 0;

  /// True where the file holds 8-bit images, false where it holds floats "already in data units".
  virtual bool is_uint8() const = 0;

  /// The next images, as many as fit whole into `out` (a multiple of D values).
  /// @return how many images were written; 0 at the end of the stream
  /// @throws InvalidArgument where `out` is empty or not a multiple of D: a stream that is read so would seem to have ended
  /// @throws DataError on a truncated or corrupt file, or on a non-finite value (names the file and the byte offset)
  virtual std::int64_t read(std::span<float> out) = 0;

  /// Back to the first image.
  virtual void rewind() = 0;

  /// One class label an image, in stream order; empty where the data set has none.
  virtual const std::vector<std::int64_t>& labels() const = 0;

 protected:
  /// What read() asks of its argument. @throws InvalidArgument as read()
  void require_room(std::span<const float> out) const;
};

struct DataOptions {
  PixelsAs as = PixelsAs::stored;  ///< grey or RGB pictures whatever they are stored as
};

/// Opens any supported DATA argument; the format is recognised by content, not by name.
///
/// Accepts: a folder of PNG and JPEG files, or a zip of them as EDM makes it (recursive, sorted by path; labels in `dataset.json`);
/// CIFAR-10's binary batches (one file, or a folder with all five); an IDX image file, also gzip-compressed (labels file beside it, found
/// by name); `.npy` (uint8 [N,H,W], [N,H,W,C] or [N,C,H,W]; float [N,D] or [N,C,H,W]), also gzip-compressed; `.npz` (the array `samples`,
/// or `images`, or the only one; integers in `labels`); the names `fashion-mnist` (60,000 training images) and `fashion-mnist-test`
/// (10,000) of the Debian package dataset-fashion-mnist, whose folder the environment variable HEADSTART_FASHION_MNIST replaces.
/// @throws DataError where the path does not exist, is empty, or is none of these (lists what is understood); see the readers for the rest
/// @throws InvalidArgument where another kind of picture is asked of float data
std::unique_ptr<ImageStream> open_images(const std::string& data, const DataOptions& options = {});

}  // namespace headstart
