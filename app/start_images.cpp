#include "start_images.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <span>

#include "data_tensors.h"
#include "headstart/data/sha256.h"
#include "headstart/error.h"
#include "ranges.h"

namespace headstart::app {
namespace {

using torch::Tensor;

std::string hash_of(const Tensor& values) {
  const Tensor row_major = values.contiguous();
  Sha256 hash;
  hash.update(std::as_bytes(std::span(row_major.data_ptr<float>(), static_cast<std::size_t>(row_major.numel()))));
  return hash.hex();
}

}  // namespace

Tensor StartImages::of(const std::vector<std::int64_t>& seeds) const {
  std::vector<std::int64_t> rows;
  for (const auto seed : seeds) rows.push_back(std::ranges::lower_bound(numbers, seed % count) - numbers.begin());
  return values.index_select(0, torch::tensor(rows));
}

StartImages open_start_images(const std::string& data, const Model& model, const std::vector<std::int64_t>& seeds) {
  const auto stream = open_data(data);
  if (stream->shape() != model.shape)
    throw InvalidArgument(fmt::format("--init: expected images of shape {} as in {}, got {} in {}", to_string(model.shape), model.path,
                                      to_string(stream->shape()), data));
  StartImages images{.values = {}, .numbers = {}, .count = stream->count(), .path = data};
  std::set<std::int64_t> needed;
  for (const auto seed : seeds) needed.insert(seed % images.count);
  images.numbers.assign(needed.begin(), needed.end());
  const Tensor read = read_images(*stream, images.numbers.back() + 1).flatten(1).index_select(0, torch::tensor(images.numbers));
  images.sha256 = hash_of(read);
  images.values = as_data_of(model, "--init", *stream, read.to(torch::kFloat64));
  return images;
}

}  // namespace headstart::app
