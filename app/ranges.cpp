#include "ranges.h"

#include <fmt/format.h>

#include "drawing.h"
#include "headstart/error.h"
#include "headstart/moments/in_range.h"

namespace headstart::app {
namespace {

template <class Stats>
Stats converted(const Model& model, const std::string& what, const Stats& stats) {
  if (stats.shape != model.shape)
    throw InvalidArgument(fmt::format("{}: expected statistics of shape {} as in {}, got {}", what, to_string(model.shape), model.path,
                                      to_string(stats.shape)));
  const bool same = stats.range_low == model.range_low && stats.range_high == model.range_high;
  const bool conventions = is_picture_range(stats.range_low, stats.range_high) && is_picture_range(model.range_low, model.range_high);
  if (!same && !(conventions && is_picture(model.shape)))
    throw InvalidArgument(fmt::format("{}: expected statistics of range [{}, {}] as in {}, got [{}, {}], and no convention for pictures",
                                      what, model.range_low, model.range_high, model.path, stats.range_low, stats.range_high));
  return in_range(stats, model.range_low, model.range_high);
}

}  // namespace

GaussianStats fitted_to(const Model& model, const std::string& what, const GaussianStats& stats) { return converted(model, what, stats); }

MixtureStats fitted_to(const Model& model, const std::string& what, const MixtureStats& stats) { return converted(model, what, stats); }

torch::Tensor as_data_of(const Model& model, const std::string& what, const ImageStream& stream, const torch::Tensor& values) {
  const double span = model.range_high - model.range_low, slack = 1e-3 * span;
  if (stream.is_uint8()) return model.range_low == -1 && model.range_high == 1 ? values : model.range_low + (values + 1) * (span / 2);
  const double low = values.min().item<double>(), high = values.max().item<double>();
  if (low < model.range_low - slack || high > model.range_high + slack)
    throw InvalidArgument(fmt::format("{}: expected values in [{}, {}] as in {}, got {} to {}", what, model.range_low, model.range_high,
                                      model.path, low, high));
  return values;
}

}  // namespace headstart::app
