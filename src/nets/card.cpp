#include "headstart/nets/card.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "headstart/error.h"

namespace headstart {
namespace {

using nlohmann::json;
using namespace std::string_view_literals;

constexpr std::array kKeys{"prediction"sv, "time"sv,  "time_scale"sv, "time_dtype"sv,     "flip_time"sv, "input"sv,
                           "schedule"sv,   "shape"sv, "range"sv,      "sigma_min"sv,      "sigma_max"sv, "sigma_data"sv,
                           "classes"sv,    "name"sv,  "comment"sv,    "output_channels"sv};

constexpr std::array kPredictions{std::pair{"eps"sv, Prediction::eps},     std::pair{"x0"sv, Prediction::x0},
                                  std::pair{"v"sv, Prediction::v},         std::pair{"flow"sv, Prediction::flow},
                                  std::pair{"score"sv, Prediction::score}, std::pair{"edm"sv, Prediction::edm},
                                  std::pair{"denoised"sv, Prediction::x0}};

constexpr std::array kTimes{std::pair{"sigma"sv, Time::sigma}, std::pair{"log_sigma"sv, Time::log_sigma},
                            std::pair{"c_noise"sv, Time::c_noise}, std::pair{"t"sv, Time::t}, std::pair{"step"sv, Time::step}};

constexpr std::array kInputs{std::pair{"x_t"sv, Input::x_t}, std::pair{"x"sv, Input::x}, std::pair{"c_in_x"sv, Input::c_in_x}};

constexpr std::array kDtypes{std::pair{"float32"sv, false}, std::pair{"int64"sv, true}};

enum class Kind { sigma, ve, vp_linear, vp_continuous, cosine, table, flow };
constexpr std::array kKinds{std::pair{"sigma"sv, Kind::sigma},
                            std::pair{"ve"sv, Kind::ve},
                            std::pair{"vp_linear"sv, Kind::vp_linear},
                            std::pair{"vp_continuous"sv, Kind::vp_continuous},
                            std::pair{"cosine"sv, Kind::cosine},
                            std::pair{"table"sv, Kind::table},
                            std::pair{"flow"sv, Kind::flow}};

std::vector<std::string_view> keys_of(Kind kind) {
  switch (kind) {
    case Kind::ve:
      return {"type", "steps"};
    case Kind::vp_linear:
      return {"type", "beta_start", "beta_end", "steps"};
    case Kind::vp_continuous:
      return {"type", "beta_min", "beta_max"};
    case Kind::cosine:
      return {"type", "s", "steps"};
    case Kind::table:
      return {"type", "alphas_cumprod", "betas"};
    case Kind::sigma:
    case Kind::flow:
      break;
  }
  return {"type"};
}

/// A JSON object of the card, read key by key. Every fault names the file and the key.
class Fields {
 public:
  Fields(std::string path, std::string prefix, json object)
      : path_(std::move(path)), prefix_(std::move(prefix)), object_(std::move(object)) {
    if (!object_.is_object())
      refuse("expected {} as a JSON object", prefix_.empty() ? "a network's card" : prefix_.substr(0, prefix_.size() - 1));
  }

  template <typename... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> message, Args&&... args) const {
    throw DataError(path_, fmt::format(message, std::forward<Args>(args)...));
  }

  const std::string& path() const { return path_; }
  bool has(const char* key) const { return object_.contains(key); }

  const json& at(const char* key) const {
    if (!has(key)) refuse("expected a key {}{}", prefix_, key);
    return object_.at(key);
  }

  /// A misspelt key would silently be a default.
  template <typename Keys>
  void allow_only(const Keys& keys) const {
    for (const auto& [key, value] : object_.items())
      if (std::find(keys.begin(), keys.end(), key) == keys.end())
        refuse("unknown key {}{}; expected one of {}", prefix_, key, fmt::join(keys, ", "));
  }

  template <typename T, std::size_t N>
  T choice(const char* key, const std::array<std::pair<std::string_view, T>, N>& known) const {
    const json& value = at(key);
    std::vector<std::string_view> names;
    for (const auto& [name, meaning] : known) {
      if (value == name) return meaning;
      names.push_back(name);
    }
    unexpected(key, fmt::format("one of {}", fmt::join(names, ", ")));
  }

  template <typename T, std::size_t N>
  T choice(const char* key, const std::array<std::pair<std::string_view, T>, N>& known, T fallback) const {
    return has(key) ? choice(key, known) : fallback;
  }

  bool flag(const char* key, bool fallback) const {
    if (has(key) && !at(key).is_boolean()) unexpected(key, "true or false");
    return has(key) ? at(key).get<bool>() : fallback;
  }

  double number(const char* key) const {
    if (!at(key).is_number()) unexpected(key, "a number");
    return at(key).get<double>();
  }
  double number(const char* key, double fallback) const { return has(key) ? number(key) : fallback; }

  std::int64_t integer(const char* key, std::int64_t least, std::int64_t most) const {
    const json& value = at(key);
    // Compared as doubles: a number beyond int64 would wrap around.
    if (!value.is_number_integer() || value.get<double>() < static_cast<double>(least) || value.get<double>() > static_cast<double>(most))
      unexpected(key, fmt::format("an integer from {} to {}", least, most));
    return value.get<std::int64_t>();
  }

  std::vector<double> numbers(const char* key) const {
    const json& value = at(key);
    if (!value.is_array() || !std::all_of(value.begin(), value.end(), [](const json& v) { return v.is_number(); }))
      unexpected(key, "a list of numbers");
    return value.get<std::vector<double>>();
  }

  [[noreturn]] void unexpected(const char* key, const std::string& expected) const {
    std::string got = at(key).dump();
    if (got.size() > 60) got = got.substr(0, 57) + "...";
    refuse("expected {}{} as {}, got {}", prefix_, key, expected, got);
  }

 private:
  std::string path_, prefix_;
  json object_;
};

constexpr std::int64_t kMost = 1'000'000;  // of anything counted: beyond it a typing error, not a network

json parse(const std::string& path) {
  std::ifstream file(path);
  if (!file)
    throw DataError(path,
                    "no such file: a TorchScript network needs a card with prediction and shape, most with schedule (docs/networks.md)");
  try {
    return json::parse(file);
  } catch (const json::exception& e) {
    throw DataError(path, std::string("expected a network's card: ") + e.what());
  }
}

ImageShape read_shape(const Fields& card) {
  const auto sizes = card.numbers("shape");
  const bool fine = sizes.size() == 3 && std::all_of(sizes.begin(), sizes.end(), [](double size) {
                      return size >= 1 && size <= static_cast<double>(kMost) && size == std::floor(size);
                    });
  if (!fine || sizes[0] * sizes[1] * sizes[2] > 1e9) card.unexpected("shape", "three sizes [C, H, W] of an image");
  return {static_cast<std::int64_t>(sizes[0]), static_cast<std::int64_t>(sizes[1]), static_cast<std::int64_t>(sizes[2])};
}

Schedule read_schedule(const Fields& card, const Fields& f, Kind kind) {
  const auto steps = [&] { return f.integer("steps", 2, kMost); };
  try {
    switch (kind) {
      case Kind::ve: {
        const double low = card.number("sigma_min"), high = card.number("sigma_max");
        return f.has("steps") ? ve_steps(low, high, steps()) : ve(low, high);
      }
      case Kind::vp_linear:
        return vp_linear(f.number("beta_start"), f.number("beta_end"), steps());
      case Kind::vp_continuous:
        return vp_continuous(f.number("beta_min"), f.number("beta_max"));
      case Kind::cosine:
        return f.has("steps") ? cosine_steps(f.number("s"), steps()) : cosine(f.number("s"));
      case Kind::table:
        if (f.has("betas") == f.has("alphas_cumprod")) f.refuse("expected either schedule.alphas_cumprod or schedule.betas");
        return f.has("betas") ? betas_table(f.numbers("betas")) : alphas_cumprod_table(f.numbers("alphas_cumprod"));
      case Kind::flow:
        return flow_schedule();
      case Kind::sigma:
        break;
    }
  } catch (const InvalidArgument& e) {
    throw DataError(card.path(), std::string("schedule: ") + e.what());
  }
  return sigma_schedule();
}

/// The schedule that a prediction implies, where it does.
json default_schedule(const Fields& card) {
  const std::string prediction = card.at("prediction");
  if (prediction == "flow") return {{"type", "flow"}};
  if (prediction == "edm" || prediction == "denoised") return {{"type", "sigma"}};
  card.refuse("expected a key schedule, which prediction {} needs", prediction);
}

Time default_time(const Parametrisation& p, Kind kind) {
  if (p.prediction == Prediction::edm) return Time::c_noise;
  if (p.schedule.steps > 0) return Time::step;
  return kind == Kind::sigma || kind == Kind::ve ? Time::sigma : Time::t;
}

TimeEncoding read_time(const Fields& card, const Parametrisation& p, Kind kind) {
  TimeEncoding time{.kind = card.choice("time", kTimes, default_time(p, kind)),
                    .scale = card.number("time_scale", 1),
                    .flip = card.flag("flip_time", false)};
  const bool table = p.schedule.steps > 0, own = time.kind == Time::t || time.kind == Time::step;
  if (time.kind == Time::step && !table)
    card.refuse(
        "time step needs a schedule with steps (vp_linear, table, or cosine and ve with steps); here time can be t, with time_scale");
  if (time.kind == Time::t && table) card.refuse("time t needs a schedule without steps; on a table time can be step, with time_scale");
  if (time.flip && (!own || kind == Kind::sigma)) card.refuse("flip_time needs time step, or t of a schedule where t runs from 0 to 1");
  if (!(time.scale > 0 && std::isfinite(time.scale))) card.unexpected("time_scale", "a number > 0");
  time.integer = card.choice("time_dtype", kDtypes, time.kind == Time::step);
  if (time.integer && !(time.kind == Time::step && time.scale == std::floor(time.scale)) && !(time.kind == Time::t && time.scale > 1))
    card.refuse("time_dtype int64 needs time step with an integer time_scale, or t with a time_scale > 1; here it can be float32");
  return time;
}

Parametrisation read_parametrisation(const Fields& card) {
  Parametrisation p{.prediction = card.choice("prediction", kPredictions)};
  const Fields schedule(card.path(), "schedule.", card.has("schedule") ? card.at("schedule") : default_schedule(card));
  const Kind kind = schedule.choice("type", kKinds);
  schedule.allow_only(keys_of(kind));
  p.schedule = read_schedule(card, schedule, kind);
  if (p.prediction == Prediction::v && p.schedule.scaling != Scaling::preserving)
    card.refuse("prediction v needs a variance-preserving schedule (vp_linear, vp_continuous, cosine, table)");
  if (p.prediction == Prediction::flow && kind != Kind::flow) card.refuse("prediction flow needs schedule.type flow");
  p.time = read_time(card, p, kind);
  p.input = card.choice("input", kInputs, p.prediction == Prediction::edm ? Input::c_in_x : Input::x_t);
  const bool preconditioned = p.prediction == Prediction::edm || p.input == Input::c_in_x;
  if (preconditioned != card.has("sigma_data"))
    card.refuse("{}", preconditioned ? "prediction edm and input c_in_x need sigma_data"
                                     : "sigma_data means something only with prediction edm or input c_in_x");
  if (preconditioned) {
    p.sigma_data = card.number("sigma_data");
    if (!(p.sigma_data > 0 && std::isfinite(p.sigma_data))) card.unexpected("sigma_data", "a number > 0");
  }
  return p;
}

/// The levels the network was trained on: the schedule's, or the part of them that the card names.
std::pair<double, double> read_levels(const Fields& card, const Schedule& schedule) {
  constexpr double kSlack = 1e-6;  // a card's digits
  const double low = card.number("sigma_min", schedule.sigma_min), high = card.number("sigma_max", schedule.sigma_max);
  if (!(low > 0 && low < high && std::isfinite(high))) card.refuse("expected 0 < sigma_min < sigma_max, got {} and {}", low, high);
  if (low < schedule.lowest * (1 - kSlack) || high > schedule.highest * (1 + kSlack))
    card.refuse("expected sigma_min and sigma_max inside the schedule's levels [{:.6g}, {:.6g}], got {} and {}", schedule.lowest,
                schedule.highest, low, high);
  return {std::max(low, schedule.lowest), std::min(high, schedule.highest)};
}

std::pair<double, double> read_range(const Fields& card) {
  if (!card.has("range")) return {-1, 1};
  const auto range = card.numbers("range");
  if (range.size() != 2 || !(range[0] < range[1])) card.unexpected("range", "[low, high] with low < high");
  return {range[0], range[1]};
}

}  // namespace

Card read_card(const std::string& path) {
  const Fields fields(path, "", parse(path));
  fields.allow_only(kKeys);
  Card card;
  card.parametrisation = read_parametrisation(fields);
  card.info.kind = "torchscript";
  card.info.prediction = fields.at("prediction");
  card.info.shape = read_shape(fields);
  std::tie(card.info.range_low, card.info.range_high) = read_range(fields);
  std::tie(card.info.sigma_min, card.info.sigma_max) = read_levels(fields, card.parametrisation.schedule);
  const Schedule& schedule = card.parametrisation.schedule;
  for (std::int64_t i = 0; i < schedule.steps; ++i) card.info.table.push_back(schedule.to_sigma(static_cast<double>(i)));
  if (fields.has("classes")) card.info.classes = fields.integer("classes", 1, kMost);
  const std::int64_t channels = card.info.shape.channels;
  card.output_channels = fields.has("output_channels") ? fields.integer("output_channels", channels, kMost) : channels;
  return card;
}

}  // namespace headstart
