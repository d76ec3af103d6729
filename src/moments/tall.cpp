#include "tall.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "headstart/core/parallel.h"

namespace headstart {
namespace {

using torch::Tensor;

constexpr std::int64_t kChunk = 512;  // rows of a product: their columns stay in the cache

/// Columns of a tile, at most 200: smaller ones waste less beyond the diagonal, larger ones run faster.
std::int64_t tile_of(std::int64_t side) {
  const std::int64_t tiles = (side + 199) / 200;
  return (side + tiles - 1) / tiles;
}

}  // namespace

std::int64_t tall_block(std::int64_t rows) { return std::clamp<std::int64_t>(rows / 32, 128, 1024); }

void for_blocks(std::int64_t n, std::int64_t size, const std::function<void(std::int64_t, std::int64_t)>& block) {
  parallel_shards((n + size - 1) / size, [&](std::int64_t i) {
    const torch::NoGradGuard no_grad;  // thread-local
    block(i * size, std::min(size, n - i * size));
  });
}

void add_gram(const Tensor& out, const Tensor& a, const Tensor& b, const std::function<void()>& meanwhile) {
  const std::int64_t side = out.size(0), rows = a.size(0), width = tile_of(side);
  std::vector<std::pair<std::int64_t, std::int64_t>> tiles;
  for (std::int64_t i = 0; i < side; i += width)
    for (std::int64_t j = 0; j <= i; j += width) tiles.emplace_back(i, j);
  const auto columns = [&](const Tensor& t, std::int64_t first) { return t.narrow(1, first, std::min(width, side - first)); };
  const std::int64_t extra = meanwhile ? 1 : 0;
  parallel_shards(static_cast<std::int64_t>(tiles.size()) + extra, [&](std::int64_t index) {
    const torch::NoGradGuard no_grad;
    if (index < extra) return meanwhile();  // first, so that the tiles fill up the other threads
    const auto [i, j] = tiles[static_cast<std::size_t>(index - extra)];
    Tensor tile = columns(out.narrow(0, i, std::min(width, side - i)), j);
    for (std::int64_t row = 0; row < rows; row += kChunk) {
      const auto wide = [&, row = row](const Tensor& t, std::int64_t first) {
        return columns(t.narrow(0, row, std::min(kChunk, rows - row)), first).to(torch::kFloat64);
      };
      tile.addmm_(wide(a, i).t(), wide(b, j));
    }
  });
}

void fill_upper(const Tensor& square) {
  const std::int64_t side = square.size(0);
  for_blocks(side, tile_of(side), [&](std::int64_t i, std::int64_t size) {
    const Tensor rows = square.narrow(0, i, size);
    if (i > 0) square.narrow(0, 0, i).narrow(1, i, size).copy_(rows.narrow(1, 0, i).t());
    const Tensor corner = rows.narrow(1, i, size);
    corner.copy_(corner.tril() + corner.tril(-1).t());
  });
}

void multiply_in_place(const Tensor& a, const Tensor& m) {
  for_blocks(a.size(0), tall_block(a.size(0)), [&](std::int64_t begin, std::int64_t size) {
    const Tensor rows = a.narrow(0, begin, size);
    rows.copy_(rows.mm(m));
  });
}

void settle_signs(const Tensor& basis) {
  for_blocks(basis.size(1), 16, [&](std::int64_t begin, std::int64_t size) {  // a few columns at a time: abs() makes a copy
    const Tensor columns = basis.narrow(1, begin, size);
    columns.mul_(columns.gather(0, columns.abs().argmax(0, true)).sign());
  });
}

}  // namespace headstart
