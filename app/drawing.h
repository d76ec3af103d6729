#pragma once
// Points as pictures.

#include <torch/types.h>

#include <vector>

#include "headstart/data/image_shape.h"
#include "headstart/report/report.h"

namespace headstart::app {

/// The data's range, which becomes black and white.
struct ValueRange {
  double low = -1, high = 1;
};

/// Whether points of this shape can be shown as grey or RGB pictures.
bool is_picture(const ImageShape& shape);

/// [B, D] data units -> B pictures.
std::vector<PngFile> draw(const torch::Tensor& points, const ImageShape& shape, const ValueRange& range);

/// [B, D] states at noise level sigma, divided by sqrt(1 + 4 sigma^2) (sigma in units of half the range): noise becomes visible, and at
/// sigma = 0 nothing changes.
std::vector<PngFile> draw_noisy(const torch::Tensor& states, double sigma, const ImageShape& shape, const ValueRange& range);

/// [B, D] signed values, each row on a scale of its own: 0 is mid-grey, the largest magnitude black or white.
std::vector<PngFile> draw_signed(const torch::Tensor& rows, const ImageShape& shape);

}  // namespace headstart::app
