#pragma once
// Pictures that samples start from, with noise on them, instead of from noise alone.

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "denoisers.h"

namespace headstart::app {

/// N pictures in the range of a model. Seed s starts from picture s mod N: from its own, or all seeds from the same one where N is 1.
struct StartImages {
  torch::Tensor values;               ///< [K, D] float64, those that the run's seeds need
  std::vector<std::int64_t> numbers;  ///< which of the N they are, ascending
  std::int64_t count = 0;             ///< N
  std::string path{}, sha256{};       ///< of DATA; of the values, in order of the numbers

  /// [B, D]: one row a seed. @param seeds  some of the run's
  torch::Tensor of(const std::vector<std::int64_t>& seeds) const;
};

/// Reads DATA up to the last picture that is needed; memory for as many. Pictures of 8 bits come in the model's range, floats are taken as
/// already in it.
/// @throws InvalidArgument where they are of another shape, or floats outside the model's range; as open_data
StartImages open_start_images(const std::string& data, const Model& model, const std::vector<std::int64_t>& seeds);

}  // namespace headstart::app
