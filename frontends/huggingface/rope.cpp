#include "frontends/huggingface/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "runtime/base/printable.h"

namespace dcc::huggingface {
namespace {

// Of a head: far above any model's, and a table of frequencies that costs nothing.
constexpr int64_t kMostColumns = 65536;

// The fields all types share, from whichever place the config keeps them in.
struct Parameters {
  const ConfigReader& block;  // rope_scaling, rope_parameters or, without either, the config
  double theta;
  int64_t original_positions;
};

// theta^(2i / dim), as torch does it: float32 throughout. std::pow in double, rounded once, is the
// correctly rounded float32 power for practical purposes.
std::vector<float> powersOfTheta(double theta, int64_t dim) {
  float base = static_cast<float>(theta);
  std::vector<float> powers(dim / 2);
  for (size_t i = 0; i < powers.size(); ++i) {
    float exponent = static_cast<float>(2 * i) / static_cast<float>(dim);
    powers[i] = static_cast<float>(std::pow(double{base}, double{exponent}));
  }
  return powers;
}

std::vector<float> defaultFrequencies(double theta, int64_t dim) {
  std::vector<float> frequencies = powersOfTheta(theta, dim);
  for (float& f : frequencies) f = 1.0f / f;
  return frequencies;
}

void applyLinear(const Parameters& p, Rope& rope) {
  float factor = static_cast<float>(p.block.positive("factor"));
  for (float& f : rope.frequencies) f /= factor;
}

// Long wavelengths are stretched by `factor`, short ones kept, those between interpolated.
void applyLlama3(const Parameters& p, Rope& rope) {
  double factor = p.block.positive("factor");
  double low = p.block.positive("low_freq_factor");
  double high = p.block.positive("high_freq_factor");
  if (!(high > low)) {
    p.block.fail("high_freq_factor", "is not above low_freq_factor; a larger number is expected");
    return;
  }
  const auto original = static_cast<double>(p.original_positions);
  const auto longest = static_cast<float>(original / low);
  const auto shortest = static_cast<float>(original / high);
  const auto two_pi = static_cast<float>(2 * std::numbers::pi);
  const auto stretch = static_cast<float>(factor);
  for (float& f : rope.frequencies) {
    float wavelength = (1.0f / f) * two_pi;
    if (wavelength > longest) {
      f /= stretch;
    } else if (!(wavelength < shortest)) {
      float smooth =
          ((1.0f / wavelength) * static_cast<float>(original) - static_cast<float>(low)) /
          static_cast<float>(high - low);
      f = (1.0f - smooth) * f / stretch + smooth * f;
    }
  }
}

double yarnScale(double factor, double mscale) {
  return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

// Interpolates between the stretched and the original frequencies over a ramp of dimensions, given
// by how often a dimension turns within the original context (beta_fast, beta_slow).
void applyYarn(const Parameters& p, const RopeModel& model, Rope& rope) {
  const auto dim = static_cast<double>(model.rotary_dim);
  const auto original = static_cast<double>(p.original_positions);
  double factor =
      p.block.positiveOr("factor", static_cast<double>(model.max_position_embeddings) / original);

  // mscale and mscale_all_dim count only together, and 0 means absent; likewise for the betas.
  double mscale = p.block.numberOr("mscale", 0), mscale_all = p.block.numberOr("mscale_all_dim", 0);
  double scale = mscale != 0 && mscale_all != 0
                     ? yarnScale(factor, mscale) / yarnScale(factor, mscale_all)
                     : yarnScale(factor, 1);
  rope.scale = static_cast<float>(p.block.numberOr("attention_factor", scale));

  auto beta = [&](std::string_view key, double otherwise) {
    return p.block.numberOr(key, 0) == 0 ? otherwise : p.block.positive(key);
  };
  auto correctionDim = [&](double rotations) {
    return dim * std::log(original / (rotations * 2 * std::numbers::pi)) / (2 * std::log(p.theta));
  };
  double low = correctionDim(beta("beta_fast", 32)), high = correctionDim(beta("beta_slow", 1));
  if (p.block.booleanOr("truncate", true)) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, dim - 1);
  if (low == high) high += 0.001;

  std::vector<float> powers = powersOfTheta(p.theta, model.rotary_dim);
  for (size_t i = 0; i < powers.size(); ++i) {
    float ramp = (static_cast<float>(i) - static_cast<float>(low)) / static_cast<float>(high - low);
    float keep = 1.0f - std::clamp(ramp, 0.0f, 1.0f);
    float stretched = 1.0f / (static_cast<float>(factor) * powers[i]);
    rope.frequencies[i] = stretched * (1.0f - keep) + 1.0f / powers[i] * keep;
  }
}

void applyDynamic(const Parameters& p, const RopeModel& model, Rope& rope) {
  double factor = p.block.positive("factor");
  if (model.rotary_dim == 2) {
    p.block.fail("rope_type",
                 "is \"dynamic\" with heads of 2 rotary columns; 4 or more are needed");
  }
  rope.dynamic = Rope::Dynamic{p.theta, factor, model.max_position_embeddings};
}

// Every frequency has its own factor, one for short and one for long sequences.
void applyLongRope(const Parameters& p, const RopeModel& model, Rope& rope) {
  const double factor =
      p.block.positiveOr("factor", static_cast<double>(model.max_position_embeddings) /
                                       static_cast<double>(p.original_positions));
  const double scale =
      factor <= 1
          ? 1.0
          : std::sqrt(1 + std::log(factor) / std::log(static_cast<double>(p.original_positions)));
  rope.scale = static_cast<float>(p.block.numberOr("attention_factor", scale));
  rope.original_positions = p.original_positions;
  const std::vector<float> powers = powersOfTheta(p.theta, model.rotary_dim);
  auto stretched = [&](std::string_view key) {
    const std::vector<double> factors = p.block.numbers(key);
    std::vector<float> frequencies = powers;
    if (factors.size() != powers.size()) {
      p.block.fail(key, "has " + std::to_string(factors.size()) + " numbers; " +
                            std::to_string(powers.size()) + " are expected, one for each pair of " +
                            "columns that turns");
      return frequencies;
    }
    for (size_t i = 0; i < powers.size(); ++i) {
      frequencies[i] = 1.0f / (static_cast<float>(factors[i]) * powers[i]);
    }
    return frequencies;
  };
  rope.frequencies = stretched("short_factor");
  rope.beyond = stretched("long_factor");
}

}  // namespace

std::optional<ConfigReader> ropeBlock(const ConfigReader& config) {
  std::optional<ConfigReader> block = config.object("rope_scaling");
  return block ? block : config.object("rope_parameters");
}

Result<Rope> readRope(const ConfigReader& config, const RopeModel& model) {
  const std::optional<ConfigReader> block = ropeBlock(config);
  for (const char* type : {"full_attention", "sliding_attention"}) {
    if (block && block->has(type)) {
      block->fail(type, "is a scaling of some layers; one for all is expected of this model");
    }
  }
  return readRope(config, block, model);
}

Result<Rope> readRope(const ConfigReader& config, const std::optional<ConfigReader>& nested,
                      const RopeModel& model) {
  if (model.rotary_dim < 2 || model.rotary_dim % 2 != 0 || model.rotary_dim > kMostColumns) {
    config.fail("head_dim", "gives heads of " + std::to_string(model.rotary_dim) +
                                " rotary columns; an even number up to " +
                                std::to_string(kMostColumns) + " is expected");
  }
  DCC_RETURN_IF_ERROR(config.status());

  // Precedence as in transformers: theta in the block before theta beside it, but
  // original_max_position_embeddings beside the block first.
  const ConfigReader& block = nested ? *nested : config;
  std::string type =
      nested ? nested->stringOr("rope_type", nested->stringOr("type", "default")) : "default";
  const bool in_block = nested && block.has("rope_theta");
  const ConfigReader& theta_at = in_block ? block : config;
  const std::string_view theta_key = in_block ? "rope_theta" : model.theta_key;
  double theta = theta_at.positiveOr(theta_key, model.default_theta);
  if (!(theta > 1)) theta_at.fail(theta_key, "is not above 1; 10000, say, is expected");
  const std::string_view original_key = "original_max_position_embeddings";
  const bool own = model.default_original_positions > 0;
  const ConfigReader& original_at = own || config.has(original_key) ? config : block;
  int64_t original = original_at.integerOr(
      original_key, own ? model.default_original_positions : model.max_position_embeddings);
  if (model.only_longrope && (type == "yarn" || type == "su")) type = "longrope";
  if (model.only_longrope && type != "default" && type != "longrope") {
    block.fail("rope_type", "is \"" + printable(type) + "\"; longrope is expected of this model");
  }
  DCC_RETURN_IF_ERROR(config.status());

  Parameters parameters{block, theta, original};
  Rope rope;
  rope.frequencies = defaultFrequencies(theta, model.rotary_dim);
  if (type == "linear") {
    applyLinear(parameters, rope);
  } else if (type == "dynamic") {
    applyDynamic(parameters, model, rope);
  } else if (type == "llama3") {
    applyLlama3(parameters, rope);
  } else if (type == "yarn") {
    applyYarn(parameters, model, rope);
  } else if (type == "longrope" || type == "su") {
    applyLongRope(parameters, model, rope);
  } else if (type != "default") {
    block.fail(block.has("rope_type") ? "rope_type" : "type",
               "is \"" + printable(type) +
                   "\"; default, linear, dynamic, llama3, yarn or longrope is expected");
  }
  DCC_RETURN_IF_ERROR(config.status());

  auto finite = [](float f) { return std::isfinite(f); };
  if (!std::ranges::all_of(rope.frequencies, finite) || !std::ranges::all_of(rope.beyond, finite) ||
      !finite(rope.scale) || rope.scale < 0) {
    config.fail(config.has("rope_scaling") ? "rope_scaling" : "rope_parameters",
                "gives frequencies that are no finite numbers; smaller factors are expected");
  }
  DCC_RETURN_IF_ERROR(config.status());
  return rope;
}

}  // namespace dcc::huggingface
