// The command line: parse, run one verb, turn every failure into one line and an exit code.

#include <c10/util/Exception.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <thread>

#include "cli.h"
#include "headstart/core/blas.h"
#include "headstart/core/parallel.h"
#include "headstart/data/atomic_file.h"
#include "headstart/error.h"
#include "headstart/nets/network.h"
#include "version.h"

namespace {

using namespace headstart;

constexpr int kUsage = 2, kData = 3, kNumerical = 4, kInternal = 1, kInterrupted = 130;

int fail(int code, std::string_view message) {
  const std::string_view line = message.substr(0, message.find('\n'));
  std::fprintf(stderr, "headstart: %.*s\n", static_cast<int>(line.size()), line.data());
  return code;
}

/// --sigma-max is accepted for --sigma_max.
std::string with_underscores(std::string argument) {
  if (argument.rfind("--", 0) != 0) return argument;
  for (std::size_t i = 2; i < argument.size() && argument[i] != '='; ++i)
    if (argument[i] == '-') argument[i] = '_';
  return argument;
}

void write_json(const std::string& target, const nlohmann::ordered_json& result) {
  if (target == "-")
    fmt::print("{}\n", result.dump(2));
  else
    write_file_atomically(target, result.dump(2) + "\n");
}

int run(int argc, char** argv) {
  app::Cli cli;
  CLI::App parser("Closed-form score models for diffusion: fit, teleport, sample, measure.", "headstart");
  parser.set_version_flag("--version", app::version);
  parser.require_subcommand(1);
  app::add_fit(parser, cli);
  app::add_denoise(parser, cli);
  app::add_flow(parser, cli);
  app::add_sample(parser, cli);
  app::add_train(parser, cli);
  app::add_evaluate(parser, cli);
  app::add_report(parser, cli);
  app::add_demo(parser, cli);
  app::add_compare(parser, cli);
  app::add_trajectory(parser, cli);
  app::add_score_ood(parser, cli);
  app::add_info(parser, cli);

  std::vector<std::string> arguments;
  for (int i = argc - 1; i > 0; --i) arguments.push_back(with_underscores(argv[i]));  // CLI11 takes them reversed
  if (!arguments.empty() && arguments.back().rfind('-', 0) != 0) {
    std::vector<std::string> verbs;
    for (const auto* verb : parser.get_subcommands([](const CLI::App*) { return true; })) verbs.push_back(verb->get_name());
    if (std::find(verbs.begin(), verbs.end(), arguments.back()) == verbs.end())
      return fail(kUsage, fmt::format("expected a verb, one of {}, got {}", fmt::join(verbs, ", "), arguments.back()));
  }
  try {
    parser.parse(arguments);
  } catch (const CLI::ParseError& e) {
    return e.get_exit_code() == 0 ? parser.exit(e) /* --help, --version */ : fail(kUsage, e.what());
  }
  app::catch_signals();
  set_threads(cli.threads > 0 ? cli.threads : static_cast<int>(std::max(1U, std::thread::hardware_concurrency())));
  parse_device(cli.device);
  if (!cli.json.empty() && cli.json != "-") app::require_folder_of(cli.json);
  const auto result = cli.run(cli);
  if (!cli.json.empty()) write_json(cli.json, result);
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  use_fitting_blas_kernels(argv);
  return run(argc, argv);
} catch (const InvalidArgument& e) {
  return fail(kUsage, e.what());
} catch (const DataError& e) {
  return fail(kData, e.what());
} catch (const std::filesystem::filesystem_error& e) {
  return fail(kData, e.path1().string() + ": " + e.code().message());
} catch (const NumericalError& e) {
  return fail(kNumerical, e.what());
} catch (const app::Interrupted& e) {
  return fail(kInterrupted, e.what());
} catch (const c10::Error& e) {
  return fail(kInternal, std::string("internal error: ") + e.what_without_backtrace());
} catch (const std::exception& e) {
  return fail(kInternal, std::string("internal error: ") + e.what());
}
