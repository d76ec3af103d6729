#include "points.h"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "headstart/core/parallel.h"
#include "headstart/error.h"
#include "headstart/moments/fit_method.h"

namespace headstart {

using torch::Tensor;

Points::Points(ImageStream& stream, std::int64_t limit, double memory, std::function<void(std::int64_t, std::int64_t)> on_pass)
    : data_(std::make_shared<Data>(Data{stream, images_wanted(stream, limit), 0, Provenance(stream), std::move(on_pass)})) {
  if (data_->total == 0) throw InvalidArgument("[Points] expected at least one point");
  const double bytes = 4 * static_cast<double>(data_->total) * static_cast<double>(dim());
  const Tensor values = bytes <= memory ? torch::empty({data_->total, dim()}, torch::kFloat32) : Tensor();
  Tensor sum = torch::zeros({dim()}, torch::kFloat64), squares = torch::zeros_like(sum);
  Tensor shift;  // the first batch's mean: sums of squares about the origin would lose digits
  for_each_of_all(randomised_batch_rows(dim()), [&](const Tensor& x) {
    if (values.defined()) values.narrow(0, count_, x.size(0)).copy_(x);
    data_->provenance.add(x);
    const Tensor wide = x.to(torch::kFloat64);
    if (!shift.defined()) shift = wide.mean(0);
    sum += (wide - shift).sum(0);
    squares += (wide - shift).square().sum(0);
    count_ += x.size(0);
  });
  if (count_ == 0) throw InvalidArgument("[Points] expected at least one point");
  data_->total = count_;
  const auto n = static_cast<double>(count_);
  data_->mean = shift + sum / n;
  data_->mean_variance = on_one_thread([&] { return (squares / n - (sum / n).square()).mean().item<double>(); });
  constexpr double kLargest = 1e30;  // squared distances are float32
  if (!(data_->mean_variance * static_cast<double>(dim()) < kLargest))
    throw NumericalError(
        fmt::format("[Points] expected a total variance below {:g}, got {:.3g} a dimension", kLargest, data_->mean_variance));
  if (values.defined()) data_->values = values.narrow(0, 0, count_);
}

Points Points::part(const std::function<bool(std::int64_t)>& keep) const {
  Points part = *this;
  part.keep_ = [before = keep_, keep](std::int64_t i) { return (!before || before(i)) && keep(i); };
  part.count_ = 0;
  for (std::int64_t i = 0; i < data_->total; ++i) part.count_ += part.keep_(i) ? 1 : 0;
  return part;
}

void Points::for_each_of_all(std::int64_t rows, const std::function<void(const Tensor&)>& use) const {
  const std::int64_t pass = ++data_->passes;
  std::int64_t done = 0;
  const auto batch = [&](const Tensor& x) {
    use(x);
    done += x.size(0);
    if (data_->on_pass) data_->on_pass(pass, done);
  };
  if (are_resident()) {
    for (std::int64_t i = 0; i < data_->total; i += rows) batch(data_->values.narrow(0, i, std::min(rows, data_->total - i)));
    return;
  }
  data_->stream.rewind();
  for_each_batch(data_->stream, data_->total, rows, batch);
  if (pass > 1 && done != data_->total)
    throw NumericalError(fmt::format("[Points] expected {} images in every pass, got {}", data_->total, done));
}

void Points::for_each(std::int64_t rows, const std::function<void(const Tensor&)>& use) const {
  if (!keep_) return for_each_of_all(rows, use);
  std::int64_t number = 0;
  for_each_of_all(rows, [&](const Tensor& x) {
    std::vector<std::int64_t> kept;
    for (std::int64_t i = 0; i < x.size(0); ++i)
      if (keep_(number + i)) kept.push_back(i);
    number += x.size(0);
    if (!kept.empty()) use(x.index_select(0, torch::tensor(kept)));
  });
}

Tensor Points::sample(std::int64_t wanted, std::uint64_t seed) const {
  wanted = std::min(wanted, count_);
  at::Generator random = at::detail::createCPUGenerator(seed);
  const Tensor chosen =
      ((torch::arange(wanted) + at::rand({wanted}, random, torch::kFloat64)) * static_cast<double>(count_) / static_cast<double>(wanted))
          .to(torch::kInt64)
          .clamp_max_(count_ - 1);
  const Tensor points = torch::empty({wanted, dim()}, torch::kFloat32);
  const std::int64_t* const next = chosen.data_ptr<std::int64_t>();
  std::int64_t first = 0, taken = 0;
  for_each(randomised_batch_rows(dim()), [&](const Tensor& x) {
    for (; taken < wanted && next[taken] < first + x.size(0); ++taken) points[taken].copy_(x[next[taken] - first]);
    first += x.size(0);
  });
  return points;
}

}  // namespace headstart
