#include "headstart/data/image_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "headstart/data/pixels.h"
#include "headstart/data/png.h"
#include "headstart/error.h"

namespace headstart {

namespace {

bool is_png_name(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension == ".png";
}

std::vector<std::string> list_images(const std::string& folder) {
  namespace fs = std::filesystem;
  std::error_code error;
  const auto type = fs::status(folder, error).type();
  if (type == fs::file_type::not_found) throw DataError(folder, "no such file or folder");
  if (type != fs::file_type::directory) throw DataError(folder, "is not a folder");
  std::vector<std::string> paths;
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (std::error_code ignored; is_png_name(at->path()) && !at->is_directory(ignored)) paths.push_back(at->path().string());
  }
  if (error) throw DataError(folder, fmt::format("cannot be listed: {}", error.message()));
  if (paths.empty()) throw DataError(folder, "holds no PNG files");
  std::ranges::sort(paths);
  return paths;
}

class ImageFolderStream final : public ImageStream {
 public:
  explicit ImageFolderStream(const std::string& folder) : paths_(list_images(folder)), shape_(read_png_shape(paths_.front())) {
    for (const std::string& path : paths_) require_shape(path, read_png_shape(path));
  }

  const ImageShape& shape() const override { return shape_; }
  std::int64_t count() const override { return static_cast<std::int64_t>(paths_.size()); }
  bool is_uint8() const override { return true; }
  const std::vector<std::int64_t>& labels() const override { return labels_; }
  void rewind() override { next_ = 0; }

  std::int64_t read(std::span<float> out) override {
    const auto dim = static_cast<std::size_t>(shape_.dim());
    if (out.empty() || out.size() % dim != 0) {
      throw InvalidArgument(fmt::format("[ImageStream::read] expected room for a multiple of {} values, got {}", dim, out.size()));
    }
    std::int64_t done = 0;
    for (; !out.empty() && next_ < paths_.size(); ++done, ++next_, out = out.subspan(dim)) {
      const ImageBytes image = read_png(paths_[next_]);
      require_shape(paths_[next_], image.shape);  // the file may have changed since it was opened
      to_data_units(image.chw, out.first(dim));
    }
    return done;
  }

 private:
  void require_shape(const std::string& path, const ImageShape& shape) const {
    if (shape == shape_) return;
    throw DataError(path, fmt::format("expected shape {} as of {}, got {}", to_string(shape_), paths_.front(), to_string(shape)));
  }

  std::vector<std::string> paths_;
  ImageShape shape_;
  std::vector<std::int64_t> labels_;
  std::size_t next_ = 0;
};

}  // namespace

std::unique_ptr<ImageStream> open_image_folder(const std::string& folder) { return std::make_unique<ImageFolderStream>(folder); }

}  // namespace headstart
