#include "cli.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <set>

#include "headstart/error.h"

namespace headstart::app {
namespace {

volatile std::sig_atomic_t signals_seen = 0;

void on_signal(int signal) {
  signals_seen = signals_seen + 1;
  if (signals_seen > 1) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
}

std::string duration(double seconds) {
  const auto s = std::lround(seconds);
  return s >= 3600 ? fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60) : fmt::format("{}:{:02}", s / 60, s % 60);
}

}  // namespace

CLI::App* add_verb(CLI::App& app, Cli& cli, const std::string& name, const std::string& description,
                   std::function<nlohmann::ordered_json(const Cli&)> run) {
  CLI::App* verb = app.add_subcommand(name, description);
  verb->add_option("--threads", cli.threads, "threads (default: all cores)")->check(CLI::PositiveNumber);
  verb->add_option("--device", cli.device, "cpu or cuda[:i] (untested on GPU)");
  verb->add_flag("--quiet", cli.quiet, "no progress, no table");
  verb->add_option("--json", cli.json, "write one machine-readable result object to this file, - for stdout");
  verb->callback([&cli, run = std::move(run)] { cli.run = run; });
  return verb;
}

void say(const Cli& cli, const std::string& line) {
  if (!cli.quiet && cli.json != "-") fmt::print("{}\n", line);
}

void require_folder_of(const std::string& path) {
  const auto folder = std::filesystem::path(path).parent_path();
  if (!folder.empty() && !std::filesystem::is_directory(folder)) throw DataError(path, "cannot be written: its folder does not exist");
}

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

Progress::Progress(const Cli& cli, std::string what, std::int64_t total, std::string unit, std::int64_t done)
    : quiet_(cli.quiet),
      terminal_(::isatty(STDERR_FILENO) != 0),
      what_(std::move(what)),
      unit_(std::move(unit)),
      total_(total),
      first_(done),
      start_(now()) {}

Progress::~Progress() {
  if (!quiet_ && terminal_ && last_ > 0) fmt::print(stderr, "\r\033[K");
}

void Progress::update(std::int64_t done, const std::string& extra) {
  const double time = now();
  if (quiet_) return;
  if (terminal_ ? time - last_ < 0.2 : time - std::max(last_, start_) < 30.0 && (done < total_ || last_ == 0)) return;
  last_ = time;
  const double rate = static_cast<double>(done - first_) / std::max(time - start_, 1e-9);
  const double left = rate > 0 ? static_cast<double>(total_ - done) / rate : 0;
  const std::string text =
      fmt::format("{} {}/{} {}  {:.3g}/s  {} left{}{}", what_, done, total_, unit_, rate, duration(left), extra.empty() ? "" : "  ", extra);
  if (terminal_) {
    const int width = 24, filled = total_ > 0 ? static_cast<int>(width * done / total_) : width;
    fmt::print(stderr, "\r\033[K[{}{}] {}", std::string(filled, '#'), std::string(width - filled, '.'), text);
    std::fflush(stderr);
  } else {
    fmt::print(stderr, "{}\n", text);
  }
}

void catch_signals() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

bool interrupted() { return signals_seen > 0; }

void stop_if_interrupted() {
  if (interrupted()) throw Interrupted();
}

void require_levels(const std::string& option, const std::vector<double>& sigmas) {
  for (const double sigma : sigmas)
    if (!(sigma > 0) || !std::isfinite(sigma)) throw InvalidArgument(fmt::format("{}: expected finite levels > 0, got {}", option, sigma));
}

nlohmann::ordered_json number_or_null(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
}

std::vector<std::int64_t> parse_seeds(const std::string& text) {
  const auto fail = [&] { throw InvalidArgument("--seeds: expected a list such as 0-63,100, got " + text); };
  std::vector<std::int64_t> seeds;
  std::size_t at = 0;
  const auto number = [&] {
    std::size_t end = at;
    while (end < text.size() && std::isdigit(static_cast<unsigned char>(text[end]))) ++end;
    if (end == at || end - at > 18) fail();
    const std::int64_t value = std::stoll(text.substr(at, end - at));
    at = end;
    return value;
  };
  while (true) {
    const std::int64_t first = number();
    std::int64_t last = first;
    if (at < text.size() && text[at] == '-') {
      ++at;
      last = number();
    }
    if (last < first || last - first > 100'000'000) fail();
    for (auto seed = first; seed <= last; ++seed) seeds.push_back(seed);
    if (at == text.size()) break;
    if (text[at++] != ',') fail();
  }
  if (std::set<std::int64_t>(seeds.begin(), seeds.end()).size() != seeds.size())
    throw InvalidArgument("--seeds: expected every seed once, got " + text);
  return seeds;
}

}  // namespace headstart::app
