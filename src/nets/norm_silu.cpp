#include "headstart/nets/norm_silu.h"

#include <ATen/Parallel.h>
#include <torch/torch.h>

#include "norm_silu_kernel.h"

namespace headstart {
namespace {

using torch::Tensor;

// autograd::Function takes no undefined tensors; an empty one stands for "none" inside this file.
const float* row_or_null(const Tensor& t, std::int64_t row) { return t.numel() > 0 ? t.data_ptr<float>() + row * t.size(1) : nullptr; }

struct NormSilu : torch::autograd::Function<NormSilu> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& input, std::int64_t groups, const Tensor& weight,
                        const Tensor& bias, const Tensor& scale, const Tensor& shift) {
    const Tensor x = input.contiguous(at::MemoryFormat::ChannelsLast);
    const Tensor scales = scale.contiguous(), shifts = shift.contiguous();
    const kernel::NormSiluShape shape{x.size(2) * x.size(3), x.size(1), groups};
    Tensor y = torch::empty_like(x), mean = torch::empty({x.size(0), groups}), rstd = torch::empty({x.size(0), groups});
    const std::int64_t stride = shape.pixels * shape.channels;
    at::parallel_for(0, x.size(0), 1, [&](std::int64_t begin, std::int64_t end) {
      for (auto i = begin; i < end; ++i)
        kernel::norm_silu_forward(shape, x.data_ptr<float>() + i * stride, weight.data_ptr<float>(), bias.data_ptr<float>(),
                                  row_or_null(scales, i), row_or_null(shifts, i), kGroupNormEps, mean.data_ptr<float>() + i * groups,
                                  rstd.data_ptr<float>() + i * groups, y.data_ptr<float>() + i * stride);
    });
    context->save_for_backward({x, weight, bias, scales, shifts, mean, rstd});
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context, torch::autograd::variable_list grads) {
    const auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1], &bias = saved[2], &scale = saved[3], &shift = saved[4], &mean = saved[5],
                 &rstd = saved[6];
    const Tensor grad_y = grads[0].contiguous(at::MemoryFormat::ChannelsLast);
    const std::int64_t groups = mean.size(1);
    const kernel::NormSiluShape shape{x.size(2) * x.size(3), x.size(1), groups};
    Tensor grad_x = torch::empty_like(x), dot = torch::empty({x.size(0), shape.channels}), sum = torch::empty({x.size(0), shape.channels});
    const std::int64_t stride = shape.pixels * shape.channels;
    at::parallel_for(0, x.size(0), 1, [&](std::int64_t begin, std::int64_t end) {
      for (auto i = begin; i < end; ++i)
        kernel::norm_silu_backward(shape, x.data_ptr<float>() + i * stride, weight.data_ptr<float>(), bias.data_ptr<float>(),
                                   row_or_null(scale, i), row_or_null(shift, i), mean.data_ptr<float>() + i * groups,
                                   rstd.data_ptr<float>() + i * groups, grad_y.data_ptr<float>() + i * stride,
                                   grad_x.data_ptr<float>() + i * stride, dot.data_ptr<float>() + i * shape.channels,
                                   sum.data_ptr<float>() + i * shape.channels);
    });
    // u = xhat * weight * (1 + scale) + bias * (1 + scale) + shift
    if (scale.numel() == 0) return {grad_x, Tensor(), dot.sum(0), sum.sum(0), Tensor(), Tensor()};
    const Tensor gain = scale + 1;
    return {grad_x, Tensor(), (dot * gain).sum(0), (sum * gain).sum(0), dot * weight + sum * bias, sum};
  }
};

}  // namespace

Tensor norm_silu_plain(const Tensor& x, std::int64_t groups, const Tensor& weight, const Tensor& bias, const Tensor& scale,
                       const Tensor& shift) {
  Tensor h = torch::group_norm(x, groups, weight, bias, kGroupNormEps);
  if (scale.defined()) h = h * (scale + 1).unsqueeze(-1).unsqueeze(-1) + shift.unsqueeze(-1).unsqueeze(-1);
  return torch::silu(h);
}

Tensor norm_silu(const Tensor& x, std::int64_t groups, const Tensor& weight, const Tensor& bias, const Tensor& scale, const Tensor& shift) {
  if (!x.is_cpu() || x.scalar_type() != torch::kFloat32) return norm_silu_plain(x, groups, weight, bias, scale, shift);
  const Tensor none = torch::empty({0});
  return NormSilu::apply(x, groups, weight, bias, scale.defined() ? scale : none, shift.defined() ? shift : none);
}

}  // namespace headstart
