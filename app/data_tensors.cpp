#include "data_tensors.h"

#include <algorithm>

#include "headstart/data/prefetch.h"
#include "headstart/error.h"

namespace headstart::app {

void add_as_option(CLI::App& verb, std::string& as) {
  verb.add_option("--as", as, "read pictures as grey or rgb, whatever they are (default: as stored, all alike)");
}

std::unique_ptr<ImageStream> open_data(const std::string& data, const std::string& as) {
  if (!as.empty() && as != "grey" && as != "rgb") throw InvalidArgument("--as: expected one of grey, rgb, got " + as);
  const PixelsAs pixels = as.empty() ? PixelsAs::stored : as == "grey" ? PixelsAs::grey : PixelsAs::rgb;
  return prefetched(open_images(data, {.as = pixels}));
}

torch::Tensor read_images(ImageStream& stream, std::int64_t limit) {
  const auto& shape = stream.shape();
  const std::int64_t count = limit < 0 ? stream.count() : std::min(limit, stream.count());
  torch::Tensor images = torch::empty({count, shape.channels, shape.height, shape.width}, torch::kFloat32);
  std::int64_t done = 0;
  while (done < count) {
    const std::int64_t wanted = std::min<std::int64_t>(count - done, 4096);
    const std::int64_t got = stream.read({images.data_ptr<float>() + done * shape.dim(), static_cast<std::size_t>(wanted * shape.dim())});
    if (got == 0) break;
    done += got;
  }
  return images.narrow(0, 0, done);
}

std::vector<double> to_vector(const torch::Tensor& values) {
  const torch::Tensor flat = values.to(torch::kFloat64).contiguous();
  return {flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()};
}

}  // namespace headstart::app
