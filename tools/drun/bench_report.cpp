#include "tools/drun/bench_report.h"

#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace dcc::drun {
namespace {

struct Figures {
  double prefill_rate, decode_rate, p50, p90, p99;
  double token_bytes, decode_bandwidth, memory_bandwidth, fraction;
  double host_p50;  // 0 where there is no device to wait for
};

double ratio(double a, double b) { return b > 0 ? a / b : 0; }

Figures figuresOf(const BenchFacts& facts, const BenchShape& shape, const BenchTimes& times) {
  Figures f;
  const double decode = times.decodeSeconds();
  const double step = stepBytes(facts, shape.batch);
  f.prefill_rate = ratio(times.promptTokens(), times.prefillSeconds());
  f.decode_rate = ratio(static_cast<double>(times.decodeTokens()), decode);
  f.p50 = percentile(times.decodeSteps(), 0.50);
  f.p90 = percentile(times.decodeSteps(), 0.90);
  f.p99 = percentile(times.decodeSteps(), 0.99);
  f.token_bytes = step / shape.batch;
  f.decode_bandwidth = ratio(step * static_cast<double>(times.decodeSteps().size()), decode);
  f.memory_bandwidth = facts.copy_bandwidth > 0
                           ? facts.copy_bandwidth
                           : ratio(times.reading().bytes, times.reading().seconds);
  f.fraction = ratio(f.decode_bandwidth, f.memory_bandwidth);
  f.host_p50 = facts.copy_bandwidth > 0 ? percentile(times.decodeHost(), 0.50) : 0;
  return f;
}

template <class... Args>
std::string format(const char* text, Args... args) {
  char buffer[256];
  const int n = std::snprintf(buffer, sizeof(buffer), text, args...);
  return std::string(buffer, static_cast<size_t>(std::clamp<int>(n, 0, sizeof(buffer) - 1)));
}

std::string count(uint32_t n, const char* what) {
  return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
}

// "412 MB", "2.20 GB": three digits, decimal as bandwidths are.
std::string bytes(double n) {
  const char* const units[] = {"B", "kB", "MB", "GB", "TB"};
  size_t u = 0;
  for (; n >= 999.5 && u + 1 < std::size(units); ++u) n /= 1000;
  const int digits = u == 0 || n >= 99.95 ? 0 : n >= 9.995 ? 1 : 2;
  return format("%.*f %s", digits, n, units[u]);
}

std::string table(const BenchFacts& facts, const BenchShape& shape, const BenchTimes& times,
                  const Figures& f) {
  const std::string batch = shape.batch == 1 ? "" : count(shape.batch, "prompt") + " of ";
  const std::string each = shape.batch == 1 ? "" : " each";
  std::string text;
  const auto row = [&text](const char* name, const std::string& what) {
    text += format("%-12s", name) + what + "\n";
  };
  row("model", facts.model + ", weights in " + std::string(name(facts.traffic.dtype)));
  row("cpu", facts.cpu + ", " + facts.kernels);
  row("ranks", format("%u of ", facts.ranks) + count(facts.threads, "thread"));
  row("load", format("%.2f s", facts.load_seconds));
  row("prefill", format("%.1f tokens/s: ", f.prefill_rate) + batch +
                     count(shape.prompt_tokens, "token") +
                     format(" in %.3f s", times.prefillSeconds()));
  row("first token", format("%.3f s", times.firstTokenSeconds()));
  row("decode", format("%.2f tokens/s: ", f.decode_rate) + count(shape.new_tokens, "token") + each);
  row("per token",
      format("p50 %.2f ms, p90 %.2f ms, p99 %.2f ms", f.p50 * 1e3, f.p90 * 1e3, f.p99 * 1e3));
  const bool sparse = facts.traffic.experts > 0;
  row("weights", bytes(f.token_bytes) + " per token" +
                     (sparse ? " (experts as if no two tokens shared one), " : ", ") +
                     bytes(f.decode_bandwidth) + "/s");
  if (f.host_p50 > 0) row("host", format("p50 %.1f us of each decode step", f.host_p50 * 1e6));
  row("memory", bytes(f.memory_bandwidth) + "/s, of which decoding takes " +
                    format("%.0f %%", f.fraction * 100));
  return text;
}

}  // namespace

double stepBytes(const BenchFacts& facts, uint32_t batch) {
  return static_cast<double>(facts.traffic.whole + facts.traffic.expertsOf(batch)) +
         static_cast<double>(facts.traffic.tables) * batch / static_cast<double>(facts.vocabulary);
}

std::string benchReport(const BenchFacts& facts, const BenchShape& shape, const BenchTimes& times,
                        bool json) {
  const Figures f = figuresOf(facts, shape, times);
  if (!json) return table(facts, shape, times, f);
  const nlohmann::ordered_json line = {
      {"model", facts.model},
      {"prompt_tokens", shape.prompt_tokens},
      {"new_tokens", shape.new_tokens},
      {"batch", shape.batch},
      {"ranks", facts.ranks},
      {"threads", facts.threads},
      {"load_s", facts.load_seconds},
      {"prefill_tokens_per_s", f.prefill_rate},
      {"first_token_s", times.firstTokenSeconds()},
      {"decode_tokens_per_s", f.decode_rate},
      {"token_p50_s", f.p50},
      {"token_p90_s", f.p90},
      {"token_p99_s", f.p99},
      {"weight_dtype", name(facts.traffic.dtype)},
      {"weight_bytes_per_token", std::llround(f.token_bytes)},
      {"expert_bytes_per_token", facts.traffic.expertsOf(shape.batch) / shape.batch},
      {"host_p50_s", f.host_p50},
      {"memory_bandwidth_bytes_per_s", f.memory_bandwidth},
      {"decode_bandwidth_fraction", f.fraction},
      {"prefill_bytes_sent", times.prefillTraffic().sent},
      {"prefill_bytes_received", times.prefillTraffic().received},
      {"decode_bytes_sent", times.decodeTraffic().sent},
      {"decode_bytes_received", times.decodeTraffic().received},
      {"kernels", facts.kernels},
      {"cpu", facts.cpu},
  };
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace dcc::drun
