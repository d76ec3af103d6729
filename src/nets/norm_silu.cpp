#include "headstart/nets/norm_silu.h"

#include <ATen/Parallel.h>
#include <torch/torch.h>

#include "norm_silu_kernel.h"

namespace headstart {
namespace {

using torch::Tensor;

// autograd::Function takes no undefined tensors; an empty one stands for "none" inside this file.
const float* row_or_null(const Tensor& t, std::int64_t row) { return t.numel() > 0 ? t.data_ptr<float>() + row * t.size(1) : nullptr; }

template <class Value>
Value* image(const Tensor& t, std::int64_t i) {
  return static_cast<Value*>(t.data_ptr()) + i * t[0].numel();
}

/// Calls `body(i, Value{})` for every image in parallel, Value being the kernel's name for the tensor's type.
template <class Body>
void for_each_image(const Tensor& x, const Body& body) {
  at::parallel_for(0, x.size(0), 1, [&](std::int64_t begin, std::int64_t end) {
    for (auto i = begin; i < end; ++i) x.scalar_type() == torch::kFloat32 ? body(i, float{}) : body(i, kernel::Bfloat16{});
  });
}

struct NormSilu : torch::autograd::Function<NormSilu> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& input, std::int64_t groups, double eps,
                        const Tensor& weight, const Tensor& bias, const Tensor& scale, const Tensor& shift) {
    const Tensor x = input.contiguous(at::MemoryFormat::ChannelsLast);
    const Tensor scales = scale.contiguous(), shifts = shift.contiguous();
    const kernel::NormSiluShape shape{x.size(2) * x.size(3), x.size(1), groups};
    Tensor y = torch::empty_like(x), mean = torch::empty({x.size(0), groups}), rstd = torch::empty({x.size(0), groups});
    for_each_image(x, [&]<class Value>(std::int64_t i, Value) {
      kernel::norm_silu_forward(shape, {weight.data_ptr<float>(), bias.data_ptr<float>(), row_or_null(scales, i), row_or_null(shifts, i)},
                                eps, image<const Value>(x, i), image<float>(mean, i), image<float>(rstd, i), image<Value>(y, i));
    });
    context->save_for_backward({x, weight, bias, scales, shifts, mean, rstd});
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context, torch::autograd::variable_list grads) {
    const auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1], &bias = saved[2], &scale = saved[3], &shift = saved[4], &mean = saved[5],
                 &rstd = saved[6];
    const Tensor grad_y = grads[0].contiguous(at::MemoryFormat::ChannelsLast);
    const kernel::NormSiluShape shape{x.size(2) * x.size(3), x.size(1), mean.size(1)};
    Tensor grad_x = torch::empty_like(x), dot = torch::empty({x.size(0), shape.channels}), sum = torch::empty({x.size(0), shape.channels});
    for_each_image(x, [&]<class Value>(std::int64_t i, Value) {
      kernel::norm_silu_backward(shape, {weight.data_ptr<float>(), bias.data_ptr<float>(), row_or_null(scale, i), row_or_null(shift, i)},
                                 image<float>(mean, i), image<float>(rstd, i), image<const Value>(x, i), image<const Value>(grad_y, i),
                                 image<Value>(grad_x, i), image<float>(dot, i), image<float>(sum, i));
    });
    // u = xhat * weight * (1 + scale) + bias * (1 + scale) + shift
    if (scale.numel() == 0) return {grad_x, Tensor(), Tensor(), dot.sum(0), sum.sum(0), Tensor(), Tensor()};
    const Tensor gain = scale + 1;
    return {grad_x, Tensor(), Tensor(), (dot * gain).sum(0), (sum * gain).sum(0), dot * weight + sum * bias, sum};
  }
};

bool has_kernel(const Tensor& x) { return x.is_cpu() && (x.scalar_type() == torch::kFloat32 || x.scalar_type() == torch::kBFloat16); }

}  // namespace

Tensor norm_silu_plain(const Tensor& x, const GroupNormParameters& norm, const Tensor& scale, const Tensor& shift) {
  Tensor h = torch::group_norm(x.to(norm.weight.scalar_type()), norm.groups, norm.weight, norm.bias, norm.eps);
  if (scale.defined()) h = h * (scale + 1).unsqueeze(-1).unsqueeze(-1) + shift.unsqueeze(-1).unsqueeze(-1);
  return torch::silu(h).to(x.scalar_type());
}

Tensor norm_silu(const Tensor& x, const GroupNormParameters& norm, const Tensor& scale, const Tensor& shift) {
  if (!has_kernel(x)) return norm_silu_plain(x, norm, scale, shift);
  const Tensor none = torch::empty({0});
  return NormSilu::apply(x, norm.groups, norm.eps, norm.weight, norm.bias, scale.defined() ? scale : none, shift.defined() ? shift : none);
}

}  // namespace headstart
