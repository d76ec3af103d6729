#pragma once
// A denoiser for data that were shifted and scaled after it was made.

#include <memory>

#include "headstart/denoise/denoiser.h"

namespace headstart {

/// The map of clean data, y = offset + slope x; noise levels grow by the slope.
struct AffineMap {
  double slope = 1, offset = 0;
};

/// Of a denoiser D of data x the one of data y: offset + slope D((y - offset) / slope; sigma / slope). Exact for every D.
class Rescaled : public Denoiser {
 public:
  /// @throws InvalidArgument unless the slope is > 0
  Rescaled(std::shared_ptr<const Denoiser> inner, const AffineMap& map);
  std::int64_t dim() const override { return inner_->dim(); }

 private:
  torch::Tensor evaluate(const torch::Tensor& x, const torch::Tensor& sigma) const override {
    return map_.offset + map_.slope * inner_->denoise((x - map_.offset) / map_.slope, sigma.flatten() / map_.slope);
  }

  std::shared_ptr<const Denoiser> inner_;
  AffineMap map_;
};

}  // namespace headstart
