#pragma once
// Reading and decoding in the background while the caller computes.

#include <memory>

#include "headstart/data/image_stream.h"

namespace headstart {

/// The same images in the same order, read ahead by one thread that starts with the first read().
///
/// An exception of the stream is thrown by the read() that reaches its image, not before. Holds up to three blocks of about 4 MiB of
/// values (or of one image, if that is more). rewind() and the destructor wait for at most one image. The stream itself must no longer be
/// used by others.
std::unique_ptr<ImageStream> prefetched(std::unique_ptr<ImageStream> stream);

}  // namespace headstart
