#include "headstart/nets/precondition.h"

namespace headstart {

Preconditioning edm_preconditioning(const torch::Tensor& sigma, double sigma_data) {
  const double sd2 = sigma_data * sigma_data;
  const torch::Tensor total = sigma.square() + sd2;
  return {.c_skip = sd2 / total, .c_out = sigma * sigma_data * total.rsqrt(), .c_in = total.rsqrt(), .c_noise = sigma.log() / 4};
}

}  // namespace headstart
