#include "batches.h"

#include <algorithm>
#include <span>
#include <vector>

#include "headstart/moments/moments.h"

namespace headstart {

using torch::Tensor;

std::int64_t images_wanted(const ImageStream& stream, std::int64_t limit) {
  return limit > 0 ? std::min(limit, stream.count()) : stream.count();
}

std::int64_t for_each_batch(ImageStream& stream, std::int64_t wanted, std::int64_t rows, const std::function<void(const Tensor&)>& use) {
  const std::int64_t dim = stream.shape().dim();
  std::vector<float> buffer(static_cast<std::size_t>(std::min(rows, wanted) * dim));
  std::int64_t done = 0;
  while (done < wanted) {
    const std::int64_t got = stream.read(std::span(buffer).first(static_cast<std::size_t>(std::min(rows, wanted - done) * dim)));
    if (got == 0) break;
    use(torch::from_blob(buffer.data(), {got, dim}, torch::kFloat32));
    done += got;
  }
  return done;
}

void Provenance::add(const Tensor& x) {
  hash_.update(std::as_bytes(std::span(x.data_ptr<float>(), static_cast<std::size_t>(x.numel()))));
  count_ += x.size(0);
  if (stream_.is_uint8()) return;  // its range is [-1, 1] whatever it holds
  const auto [least, most] = torch::aminmax(x);
  low_ = std::min(low_, least.item<double>());
  high_ = std::max(high_, most.item<double>());
}

std::pair<double, double> Provenance::range() const { return data_range(stream_.is_uint8(), low_, high_); }

}  // namespace headstart
