#pragma once
// The JSON card beside a TorchScript file: what the network was trained on and how it wants to be called. See docs/networks.md.

#include <cstdint>
#include <string>

#include "headstart/nets/network.h"
#include "headstart/nets/parametrisation.h"

namespace headstart {

struct Card {
  NetworkInfo info;  ///< kind, prediction, shape, range, sigma_min, sigma_max, classes
  Parametrisation parametrisation;
  std::int64_t output_channels = 0;  ///< the first shape.channels of them are the prediction
};

/// Reads a card. Defaults:
///
/// | key             | default                                                                                                    |
/// | --------------- | ---------------------------------------------------------------------------------------------------------- |
/// | schedule        | `sigma` for edm and denoised, `flow` for flow; needed by the others                                        |
/// | time            | `c_noise` for edm; else `step` on a table, `t` on vp_continuous, cosine and flow, `sigma` on sigma and ve  |
/// | input           | `c_in_x` for edm, else `x_t`                                                                               |
/// | time_scale      | 1                                                                                                          |
/// | time_dtype      | `int64` for time step, else `float32`                                                                      |
/// | flip_time       | false                                                                                                      |
/// | output_channels | the shape's                                                                                                |
/// | range           | [-1, 1]                                                                                                    |
/// | sigma_min, _max | the schedule's (Schedule::sigma_min, sigma_max)                                                            |
///
/// @throws DataError naming the file and the key where the card is missing or no JSON object, a key is unknown or lacking, a value is none
///         of those that are known, or keys contradict each other
Card read_card(const std::string& path);

}  // namespace headstart
