#pragma once
// What every verb shares: common options, progress, interruption, and the shape of a verb.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace headstart::app {

/// A verb registers its options and leaves what it does in `Cli::run`; the result goes to --json.
struct Cli {
  int threads = 0;  // 0: all cores
  std::string device = "cpu";
  bool quiet = false;
  std::string json{};
  std::function<nlohmann::ordered_json(const Cli&)> run{};
};

/// Adds a verb with the common options; `run` is called when it was chosen and parsed.
CLI::App* add_verb(CLI::App& app, Cli& cli, const std::string& name, const std::string& description,
                   std::function<nlohmann::ordered_json(const Cli&)> run);

/// A line for the user on stdout; nothing with --quiet, and nothing where stdout carries the JSON.
void say(const Cli& cli, const std::string& line);

/// A bar with rate and time left where stderr is a terminal, a line now and then otherwise, nothing with --quiet.
class Progress {
 public:
  /// @param done  what an earlier session had done, which the rate leaves out
  Progress(const Cli& cli, std::string what, std::int64_t total, std::string unit, std::int64_t done = 0);
  ~Progress();
  void update(std::int64_t done, const std::string& extra = "");

 private:
  bool quiet_, terminal_;
  std::string what_, unit_;
  std::int64_t total_, first_;
  double start_, last_ = 0;
};

/// SIGINT and SIGTERM set a flag that long loops ask for, so that only whole files are left; a second signal ends the process at once.
void catch_signals();
bool interrupted();

/// Thrown where work stopped because of a signal; exit code 130.
struct Interrupted : std::exception {
  const char* what() const noexcept override { return "interrupted"; }
};

/// For loops that may stop between two steps. @throws Interrupted after a signal
void stop_if_interrupted();

/// Checks the noise levels of an option. @throws InvalidArgument naming the option unless all are finite and > 0
void require_levels(const std::string& option, const std::vector<double>& sigmas);

/// NaN and infinity have no JSON form: null.
nlohmann::ordered_json number_or_null(double value);

/// "0-63,100,7" -> the list. @throws InvalidArgument naming the option on anything else, or on a repeated seed
std::vector<std::int64_t> parse_seeds(const std::string& text);

/// Checks before the work that a file can be written where it is wanted. @throws DataError where its folder does not exist
void require_folder_of(const std::string& path);

/// Seconds since an arbitrary start.
double now();

void add_fit(CLI::App& app, Cli& cli);
void add_denoise(CLI::App& app, Cli& cli);
void add_flow(CLI::App& app, Cli& cli);
void add_sample(CLI::App& app, Cli& cli);
void add_train(CLI::App& app, Cli& cli);
void add_evaluate(CLI::App& app, Cli& cli);
void add_report(CLI::App& app, Cli& cli);
void add_demo(CLI::App& app, Cli& cli);
void add_compare(CLI::App& app, Cli& cli);
void add_trajectory(CLI::App& app, Cli& cli);
void add_score_ood(CLI::App& app, Cli& cli);
void add_info(CLI::App& app, Cli& cli);

}  // namespace headstart::app
