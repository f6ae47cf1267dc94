#include "runtime/generate/generation_config.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "runtime/base/json.h"

namespace dcc::generate {
namespace {

// transformers' default for drawing.
constexpr uint32_t kUsualTopK = 50;
// A share that always leaves the likeliest token.
constexpr double kLeastShare = 1e-9;

Result<std::vector<int32_t>> ids(const JsonFields& fields, std::string_view key) {
  std::vector<int32_t> ids;
  const nlohmann::json* value = fields.find(key);
  if (value == nullptr) return ids;
  if (!value->is_array()) {
    DCC_ASSIGN(const int64_t id, fields.integer(key, 0, INT32_MAX));
    return std::vector<int32_t>{static_cast<int32_t>(id)};
  }
  for (const nlohmann::json& element : *value) {
    const int64_t id = element.is_number_integer() ? element.get<int64_t>() : -1;
    if (id < 0 || id > INT32_MAX) return fields.error(key, "must be a token id or a list of them");
    ids.push_back(static_cast<int32_t>(id));
  }
  return ids;
}

Status readNumber(const JsonFields& fields, std::string_view key, double least, double most,
                  const char* expected, std::optional<double>& into) {
  if (!fields.has(key)) return Status::success();
  DCC_ASSIGN(const double value, fields.number(key));
  if (!(value >= least && value <= most)) {
    return fields.error(key, "is " + fields.find(key)->dump() + "; " + expected + " is expected");
  }
  into = value;
  return Status::success();
}

Status readCount(const JsonFields& fields, std::string_view key, int64_t least,
                 std::optional<uint32_t>& into) {
  if (!fields.has(key)) return Status::success();
  DCC_ASSIGN(const int64_t value, fields.integer(key, least, INT32_MAX));
  into = static_cast<uint32_t>(value);
  return Status::success();
}

Status readSampling(const JsonFields& fields, GenerationConfig& config) {
  SamplingChoice& sampling = config.sampling;
  DCC_ASSIGN(config.do_sample, fields.booleanOr("do_sample", false));
  DCC_RETURN_IF_ERROR(readNumber(fields, "temperature", config.do_sample ? 1e-6 : 0, 1e6,
                                 "a number above 0", sampling.temperature));
  DCC_RETURN_IF_ERROR(readCount(fields, "top_k", 0, sampling.top_k));
  DCC_RETURN_IF_ERROR(readNumber(fields, "top_p", 0, 1, "a number from 0 to 1", sampling.top_p));
  DCC_RETURN_IF_ERROR(readNumber(fields, "min_p", 0, 1, "a number from 0 to 1", sampling.min_p));
  DCC_RETURN_IF_ERROR(readNumber(fields, "repetition_penalty", 1e-6, 1e6, "a number above 0",
                                 sampling.repetition_penalty));
  return readCount(fields, "max_new_tokens", 1, config.max_new_tokens);
}

// Fields that change what transformers generates, and the values with which they do not.
struct Unsupported {
  const char* field;
  double inactive;
  bool only_draws;  // means nothing where tokens are not drawn
};
constexpr double kNone = NAN;  // no value is inactive but null
constexpr Unsupported kUnsupported[] = {
    {"num_beams", 1, false},
    {"penalty_alpha", 0, false},
    {"dola_layers", kNone, false},
    {"no_repeat_ngram_size", 0, false},
    {"encoder_no_repeat_ngram_size", 0, false},
    {"encoder_repetition_penalty", 1, false},
    {"bad_words_ids", kNone, false},
    {"sequence_bias", kNone, false},
    {"guidance_scale", 1, false},
    {"min_length", 0, false},
    {"min_new_tokens", 0, false},
    {"forced_bos_token_id", kNone, false},
    {"forced_eos_token_id", kNone, false},
    {"suppress_tokens", kNone, false},
    {"begin_suppress_tokens", kNone, false},
    {"exponential_decay_length_penalty", kNone, false},
    {"stop_strings", kNone, false},
    {"watermarking_config", kNone, false},
    {"top_h", kNone, true},
    {"typical_p", 1, true},
    {"epsilon_cutoff", 0, true},
    {"eta_cutoff", 0, true},
};

std::string findUnsupported(const JsonFields& fields, bool draws) {
  for (const Unsupported& one : kUnsupported) {
    const nlohmann::json* value = fields.find(one.field);
    if (value == nullptr || (one.only_draws && !draws)) continue;
    if (value->is_number() && value->get<double>() == one.inactive) continue;
    if (value->is_array() && value->empty()) continue;
    const std::string shown =
        value->is_structured() ? std::string(jsonTypeName(*value)) : value->dump();
    return fields.error(one.field, "is " + shown + ", which is not built yet; without it is right")
        .message;
  }
  return "";
}

}  // namespace

Result<GenerationConfig> readGenerationConfig(const std::string& dir) {
  GenerationConfig config;
  const std::string own = dir + "/generation_config.json";
  for (const std::string& path : {own, dir + "/config.json"}) {
    if (::access(path.c_str(), F_OK) != 0) continue;
    DCC_ASSIGN(const nlohmann::json root, readJson(path));
    DCC_ASSIGN(const JsonFields fields, JsonFields::of(root, path));
    if (config.eos.empty()) {
      DCC_ASSIGN(config.eos, ids(fields, "eos_token_id"));
    }
    if (!config.bos) {
      DCC_ASSIGN(const std::vector<int32_t> bos, ids(fields, "bos_token_id"));
      if (!bos.empty()) config.bos = bos.front();
    }
    if (path != own) continue;
    DCC_RETURN_IF_ERROR(readSampling(fields, config));
    config.unsupported = findUnsupported(fields, config.do_sample);
  }
  return config;
}

SamplingOptions chooseSampling(const GenerationConfig& config, const SamplingChoice& given) {
  const SamplingChoice& own = config.sampling;
  SamplingOptions options;
  options.repetition_penalty =
      given.repetition_penalty.value_or(own.repetition_penalty.value_or(1));
  options.seed = given.seed.value_or(0);
  bool draws = config.do_sample || given.top_k.value_or(0) > 0 || given.top_p.value_or(1) < 1 ||
               given.min_p.value_or(0) > 0 || given.seed;
  if (given.temperature) draws = *given.temperature > 0;
  if (!draws) return options;
  options.temperature = given.temperature.value_or(own.temperature.value_or(1));
  // Of a file that does not draw: transformers would refuse it now.
  if (options.temperature == 0) options.temperature = 1;
  options.top_k = given.top_k.value_or(own.top_k.value_or(config.do_sample ? kUsualTopK : 0));
  options.top_p = std::max(given.top_p.value_or(own.top_p.value_or(1)), kLeastShare);
  options.min_p = given.min_p.value_or(own.min_p.value_or(0));
  return options;
}

}  // namespace dcc::generate
