#include "headstart/nets/card.h"

#include <nlohmann/json.hpp>

#include "nets_test.h"

namespace headstart {
namespace {

using nlohmann::json;

const json kLinear{{"type", "vp_linear"}, {"beta_start", 1e-4}, {"beta_end", 0.02}, {"steps", 1000}};
const json kContinuous{{"type", "vp_continuous"}, {"beta_min", 0.1}, {"beta_max", 20}};
const json kCosine{{"type", "cosine"}, {"s", 0.008}};
const json kCosineSteps{{"type", "cosine"}, {"s", 0.008}, {"steps", 1000}};
const json kFlow{{"type", "flow"}};

class CardFile : public testing::Test {
 protected:
  /// The card of these keys and a shape.
  Card read(json keys) const {
    keys.emplace("shape", json{2, 3, 4});
    write_text(path_, keys.dump());
    return read_card(path_);
  }

  void refuse(const json& keys, const std::string& part, std::source_location where = std::source_location::current()) const {
    expect_data_error(
        path_, part, [&] { read(keys); }, where);
  }

  void refuse_text(const std::string& text, const std::string& part, std::source_location where = std::source_location::current()) const {
    write_text(path_, text);
    expect_data_error(
        path_, part, [&] { read_card(path_); }, where);
  }

  TempDir folder_;
  std::string path_ = folder_ / "net.pt.json";
};

TEST_F(CardFile, OfADenoiserNeedsNothingButAShape) {
  const Card card = read({{"prediction", "denoised"}});
  EXPECT_EQ(card.parametrisation.prediction, Prediction::x0);
  EXPECT_EQ(card.parametrisation.input, Input::x_t);
  EXPECT_EQ(card.parametrisation.time.kind, Time::sigma);
  EXPECT_EQ(card.parametrisation.time.scale, 1);
  EXPECT_FALSE(card.parametrisation.time.flip);
  EXPECT_FALSE(card.parametrisation.time.integer);
  EXPECT_EQ(card.parametrisation.schedule.scaling, Scaling::none);
  EXPECT_EQ(card.output_channels, 2);
  EXPECT_EQ(card.info.kind, "torchscript");
  EXPECT_EQ(card.info.prediction, "denoised");
  EXPECT_EQ(card.info.shape, (ImageShape{2, 3, 4}));
  EXPECT_EQ(card.info.range_low, -1);
  EXPECT_EQ(card.info.range_high, 1);
  EXPECT_EQ(card.info.sigma_min, 0.002);
  EXPECT_EQ(card.info.sigma_max, 80);
  EXPECT_EQ(card.info.classes, 0);
}

TEST_F(CardFile, HasADefaultTimeForEverySchedule) {
  const auto time_of = [&](const json& keys) { return read(keys).parametrisation.time; };
  EXPECT_EQ(time_of({{"prediction", "edm"}, {"sigma_data", 0.5}}).kind, Time::c_noise);
  EXPECT_EQ(time_of({{"prediction", "flow"}}).kind, Time::t);
  EXPECT_EQ(time_of({{"prediction", "v"}, {"schedule", kCosine}}).kind, Time::t);
  EXPECT_EQ(time_of({{"prediction", "score"}, {"schedule", kContinuous}}).kind, Time::t);
  const json geometric{{"prediction", "score"}, {"schedule", {{"type", "ve"}}}, {"sigma_min", 0.01}, {"sigma_max", 50}};
  EXPECT_EQ(time_of(geometric).kind, Time::sigma);
  for (const json& table : {kLinear, kCosineSteps, json{{"type", "table"}, {"betas", {0.1, 0.2}}}}) {
    const TimeEncoding time = time_of({{"prediction", "eps"}, {"schedule", table}});
    EXPECT_EQ(time.kind, Time::step);
    EXPECT_TRUE(time.integer);
  }
}

TEST_F(CardFile, HasADefaultInputAndSchedule) {
  const Card edm = read({{"prediction", "edm"}, {"sigma_data", 0.25}});
  EXPECT_EQ(edm.parametrisation.input, Input::c_in_x);
  EXPECT_EQ(edm.parametrisation.sigma_data, 0.25);
  EXPECT_EQ(edm.parametrisation.schedule.scaling, Scaling::none);
  const Card flow = read({{"prediction", "flow"}});
  EXPECT_EQ(flow.parametrisation.input, Input::x_t);
  EXPECT_EQ(flow.parametrisation.schedule.scaling, Scaling::interpolating);
}

TEST_F(CardFile, SaysWhatItSays) {
  const Card card = read({{"prediction", "flow"},
                          {"time_scale", 1000},
                          {"time_dtype", "int64"},
                          {"flip_time", true},
                          {"input", "x"},
                          {"range", {0, 1}},
                          {"sigma_min", 0.01},
                          {"sigma_max", 100},
                          {"classes", 10},
                          {"output_channels", 4},
                          {"name", "a name"},
                          {"comment", {"anything", 1}}});
  EXPECT_EQ(card.parametrisation.time.scale, 1000);
  EXPECT_TRUE(card.parametrisation.time.integer);
  EXPECT_TRUE(card.parametrisation.time.flip);
  EXPECT_EQ(card.parametrisation.input, Input::x);
  EXPECT_EQ(card.info.range_low, 0);
  EXPECT_EQ(card.info.range_high, 1);
  EXPECT_EQ(card.info.sigma_min, 0.01);
  EXPECT_EQ(card.info.sigma_max, 100);
  EXPECT_EQ(card.info.classes, 10);
  EXPECT_EQ(card.output_channels, 4);
}

TEST_F(CardFile, TakesItsLevelsFromTheSchedule) {
  const auto levels = [&](const json& schedule) {
    const NetworkInfo info = read({{"prediction", "eps"}, {"schedule", schedule}}).info;
    return std::pair(info.sigma_min, info.sigma_max);
  };
  EXPECT_NEAR(levels(kLinear).first, 0.0100005, 1e-7);
  EXPECT_NEAR(levels(kLinear).second, 157.407, 1e-3);
  EXPECT_NEAR(levels(kContinuous).first, 0.0105, 1e-4);
  EXPECT_NEAR(levels(kFlow).second, 999, 1e-9);
  // A card's rounded ends are the schedule's.
  const auto rounded = read({{"prediction", "eps"}, {"schedule", kLinear}, {"sigma_min", 0.0100005}, {"sigma_max", 157.4074}}).info;
  EXPECT_EQ(rounded.sigma_max, std::min(157.4074, levels(kLinear).second));
}

TEST_F(CardFile, IsMissing) {
  expect_data_error(path_, "no such file: a TorchScript network needs a card", [&] { read_card(path_); });
}

TEST_F(CardFile, IsNoCard) {
  for (const char* text : {"", "{\"prediction\": ", "{\"shape\": [1, 2, 3], \"sigma_min\": 1e999}"})
    refuse_text(text, "expected a network's card");
  for (const char* text : {"[1, 2]", "3", "null"}) refuse_text(text, "expected a network's card as a JSON object");
  refuse(json{{"prediction", "eps"}, {"schedule", "vp_linear"}}, "expected schedule as a JSON object");
}

TEST_F(CardFile, LacksAKey) {
  refuse(json::object(), "expected a key prediction");
  refuse_text(R"({"prediction": "denoised"})", "expected a key shape");
  for (const char* prediction : {"eps", "x0", "v", "score"})
    refuse(json{{"prediction", prediction}}, std::string("expected a key schedule, which prediction ") + prediction + " needs");
  refuse(json{{"prediction", "eps"}, {"schedule", json::object()}}, "expected a key schedule.type");
  for (const auto& [schedule, keys] : std::vector<std::pair<json, std::vector<std::string>>>{
           {kLinear, {"beta_start", "beta_end", "steps"}}, {kContinuous, {"beta_min", "beta_max"}}, {kCosine, {"s"}}})
    for (const auto& key : keys) {
      json without = schedule;
      without.erase(key);
      refuse(json{{"prediction", "eps"}, {"schedule", without}}, "expected a key schedule." + key);
    }
  refuse(json{{"prediction", "score"}, {"schedule", {{"type", "ve"}}}}, "expected a key sigma_min");
}

TEST_F(CardFile, HasAnUnknownKey) {
  refuse(json{{"prediction", "denoised"}, {"time_scales", 1000}}, "unknown key time_scales; expected one of prediction, time, time_scale");
  refuse(json{{"prediction", "eps"}, {"schedule", {{"type", "cosine"}, {"s", 0}, {"beta_min", 1}}}},
         "unknown key schedule.beta_min; expected one of type, s, steps");
  refuse(json{{"prediction", "flow"}, {"schedule", {{"type", "flow"}, {"steps", 1000}}}}, "unknown key schedule.steps");
}

TEST_F(CardFile, HasAnUnknownValue) {
  refuse(json{{"prediction", "velocity"}}, R"(expected prediction as one of eps, x0, v, flow, score, edm, denoised, got "velocity")");
  refuse(json{{"prediction", 3}}, "expected prediction as one of");
  refuse(json{{"prediction", "denoised"}, {"time", "ln_sigma"}},
         R"(expected time as one of sigma, log_sigma, c_noise, t, step, got "ln_sigma")");
  refuse(json{{"prediction", "denoised"}, {"input", "xt"}}, R"(expected input as one of x_t, x, c_in_x, got "xt")");
  refuse(json{{"prediction", "eps"}, {"schedule", kLinear}, {"time_dtype", "int32"}}, "expected time_dtype as one of float32, int64");
  refuse(json{{"prediction", "eps"}, {"schedule", {{"type", "linear"}}}},
         "expected schedule.type as one of sigma, ve, vp_linear, vp_continuous, cosine, table, flow");
}

TEST_F(CardFile, HasAValueOfAnotherType) {
  const auto with = [](const char* key, const json& value) {
    json card{{"prediction", "denoised"}};
    card[key] = value;
    return card;
  };
  for (const json& shape :
       {json{1, 4}, json("1,4,4"), json{1, 0, 4}, json{1, 2.5, 4}, json{1, 4, 1e7}, json{1000, 10000, 10000}, json{1, "4", 4}})
    refuse(with("shape", shape), "expected shape as");
  for (const json& range : {json(3), json{1, -1}, json{0, 0}, json{0, 1, 2}, json("0,1")})
    refuse(with("range", range), "expected range as");
  for (const json& scale : {json(0), json(-1), json("1000"), json(true)})
    refuse(with("time_scale", scale), "expected time_scale as a number");
  for (const json& flip : {json(1), json("true")}) refuse(with("flip_time", flip), "expected flip_time as true or false");
  for (const json& classes : {json(0), json(-1), json(2.5), json("10"), json(true), json(1e30)})
    refuse(with("classes", classes), "expected classes as an integer from 1");
  for (const json& channels : {json(1), json(2.0), json("2")})
    refuse(with("output_channels", channels), "expected output_channels as an integer from 2");
  refuse(with("sigma_min", "low"), "expected sigma_min as a number");
  refuse(with("sigma_min", 90), "expected 0 < sigma_min < sigma_max, got 90 and 80");
  refuse(with("sigma_min", 0), "expected 0 < sigma_min < sigma_max");
  const auto linear = [](const char* key, const json& value) {
    json card{{"prediction", "eps"}, {"schedule", kLinear}};
    card["schedule"][key] = value;
    return card;
  };
  refuse(linear("steps", 1000.5), "expected schedule.steps as an integer from 2 to 1000000, got 1000.5");
  refuse(linear("steps", 1), "expected schedule.steps as an integer from 2");
  refuse(linear("steps", 18446744073709551615ULL), "expected schedule.steps as an integer from 2");
  refuse(linear("beta_end", "0.02"), "expected schedule.beta_end as a number");
  refuse(linear("beta_start", 0.5), "schedule: [vp_linear] expected 0 < beta_start <= beta_end");
  refuse(json{{"prediction", "eps"}, {"schedule", {{"type", "table"}, {"betas", {0.1, "0.2"}}}}},
         "expected schedule.betas as a list of numbers");
  refuse(json{{"prediction", "eps"}, {"schedule", {{"type", "table"}, {"alphas_cumprod", {0.5, 0.0}}}}},
         "schedule: [alphas_cumprod_table]");
}

TEST_F(CardFile, ContradictsItself) {
  refuse(json{{"prediction", "edm"}}, "prediction edm and input c_in_x need sigma_data");
  refuse(json{{"prediction", "denoised"}, {"input", "c_in_x"}}, "prediction edm and input c_in_x need sigma_data");
  refuse(json{{"prediction", "denoised"}, {"sigma_data", 0.5}}, "sigma_data means something only with prediction edm or input c_in_x");
  refuse(json{{"prediction", "edm"}, {"sigma_data", 0}}, "expected sigma_data as a number > 0");
  for (const json& schedule : {kFlow, json{{"type", "sigma"}}})
    refuse(json{{"prediction", "v"}, {"schedule", schedule}}, "prediction v needs a variance-preserving schedule");
  refuse(json{{"prediction", "flow"}, {"schedule", kLinear}}, "prediction flow needs schedule.type flow");
  for (const json& schedule : {kFlow, kContinuous, kCosine, json{{"type", "sigma"}}})
    refuse(json{{"prediction", "eps"}, {"schedule", schedule}, {"time", "step"}}, "time step needs a schedule with steps");
  for (const json& schedule : {kLinear, kCosineSteps})
    refuse(json{{"prediction", "eps"}, {"schedule", schedule}, {"time", "t"}}, "time t needs a schedule without steps");
  for (const char* time : {"sigma", "log_sigma", "c_noise"})
    refuse(json{{"prediction", "flow"}, {"time", time}, {"flip_time", true}}, "flip_time needs time step, or t");
  refuse(json{{"prediction", "denoised"}, {"time", "t"}, {"flip_time", true}}, "flip_time needs time step, or t");
  refuse(json{{"prediction", "flow"}, {"time_dtype", "int64"}}, "time_dtype int64 needs time step with an integer time_scale, or t with");
  refuse(json{{"prediction", "eps"}, {"schedule", kLinear}, {"time_scale", 0.001}}, "time_dtype int64 needs");
  refuse(json{{"prediction", "denoised"}, {"time_dtype", "int64"}}, "time_dtype int64 needs");
  const json both{{"type", "table"}, {"betas", {0.1, 0.2}}, {"alphas_cumprod", {0.9, 0.7}}};
  for (const json& table : {both, json{{"type", "table"}}})
    refuse(json{{"prediction", "eps"}, {"schedule", table}}, "expected either schedule.alphas_cumprod or schedule.betas");
  refuse(json{{"prediction", "eps"}, {"schedule", kLinear}, {"sigma_max", 200}},
         "expected sigma_min and sigma_max inside the schedule's levels [0.0100005, 157.407], got ");
  refuse(json{{"prediction", "eps"}, {"schedule", kLinear}, {"sigma_min", 0.002}}, "inside the schedule's levels");
}

}  // namespace
}  // namespace headstart
