#include "drawing.h"

#include <cmath>
#include <span>

#include "headstart/data/pixels.h"
#include "headstart/data/png.h"

namespace headstart::app {
namespace {

/// [B, D] in [-1, 1].
std::vector<PngFile> draw_unit(const torch::Tensor& unit, const ImageShape& shape) {
  const torch::Tensor values = unit.to(torch::kCPU, torch::kFloat64).contiguous();
  const auto pixels = to_uint8(std::span<const double>(values.data_ptr<double>(), static_cast<std::size_t>(values.numel())));
  const auto size = static_cast<std::size_t>(shape.dim());
  std::vector<PngFile> pictures;
  for (std::size_t at = 0; at < pixels.size(); at += size) pictures.push_back(encode_png(shape, std::span(pixels).subspan(at, size)));
  return pictures;
}

torch::Tensor to_unit(const torch::Tensor& points, const ValueRange& range) {
  return (points - range.low) * (2 / (range.high - range.low)) - 1;
}

}  // namespace

bool is_picture(const ImageShape& shape) { return (shape.channels == 1 || shape.channels == 3) && shape.height > 1 && shape.width > 1; }

std::vector<PngFile> draw(const torch::Tensor& points, const ImageShape& shape, const ValueRange& range) {
  return draw_unit(to_unit(points, range), shape);
}

std::vector<PngFile> draw_noisy(const torch::Tensor& states, double sigma, const ImageShape& shape, const ValueRange& range) {
  const double unit_sigma = sigma * 2 / (range.high - range.low);
  return draw_unit(to_unit(states, range) / std::sqrt(1 + 4 * unit_sigma * unit_sigma), shape);
}

std::vector<PngFile> draw_signed(const torch::Tensor& rows, const ImageShape& shape) {
  return draw_unit(rows / rows.abs().amax(1, true).clamp_min(1e-300), shape);
}

}  // namespace headstart::app
