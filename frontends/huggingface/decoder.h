// The decoder that families are: an embedding, blocks of attention and MLP on a residual, a norm
// and a head. A family reads what is its own into the spec, and replaces the parts that are not
// shared.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "frontends/huggingface/config.h"
#include "frontends/huggingface/family.h"

namespace dcc::huggingface {

// What a config.json may leave out, as the family's configuration class in transformers has it; and
// how the class calls what others call otherwise.
struct Defaults {
  int64_t positions = 2048;
  int64_t kv_heads = 0, head_dim = 0;  // 0: as many as heads; hidden_size / heads
  const char* eps_key = "rms_norm_eps";
  double eps = 1e-6;
  bool tied = false;
  const char* activation_key = "hidden_act";
  const char* activation = "silu";
  double theta = 10000;
  // The part of a head that turns; 0: all of it, partial_rotary_factor is not read.
  double rotary_factor = 0;
};

struct DecoderSpec {
  int64_t hidden = 0, intermediate = 0, layers = 0, vocabulary = 0;
  int64_t positions = 0;    // the model's own limit, tokens
  AttentionSpec attention;  // of every layer, but for what attentions say
  // Layers that differ in attention: one for each, or none.
  std::vector<AttentionSpec> attentions;
  std::string mlp_name = ".mlp";
  bool mlp_bias = false;
  bool packed_mlp = false;  // mlp.gate_up_proj in place of gate_proj and up_proj
  // An MLP without a gate: down(f(up(x))), by the names of the two.
  struct PlainMlp {
    const char *up, *down;
  };
  std::optional<PlainMlp> plain_mlp;
  std::string activation;

  // The norms of a block on the residual x: x += after_attention(attn(before_attention(x)));
  // x += after_mlp(mlp(before_mlp(x))). Any may be missing (empty).
  std::string before_attention = "input_layernorm", after_attention = "";
  std::string before_mlp = "post_attention_layernorm", after_mlp = "";
  // Both parts read the x that the block was given: x += attn(...) + mlp(...), and without a norm
  // of its own the MLP reads what attention does.
  bool parallel = false;

  // Norms: rms_norm, whose weights are stored as their distance from -norm_plus, or layer_norm.
  enum class Norm { kRms, kLayer, kLayerWithBias } norm = Norm::kRms;
  double eps = 0;
  float norm_plus = 0;
  std::string final_norm = "model.norm";

  double embedding_scale = 1, residual_scale = 1, logit_scale = 1;
  double logit_cap = 0;  // 0: none
  bool tied = false, head_bias = false;

  // Frequencies that attention turns by, by name; every layer uses rope_of(i), or the first. Empty:
  // those that the config names.
  std::vector<std::pair<std::string, Rope>> ropes;
  std::function<std::string(int64_t layer)> rope_of;
  double theta = 10000, rotary_factor = 0;  // Defaults
  int64_t original_positions = 0;           // RopeModel
  bool only_longrope = false;

  // In place of the usual attention and gated MLP of layer i: `module` is
  // "model.layers.3.self_attn" or "model.layers.3.mlp", x what the norm gives; the result is added
  // to the residual.
  using Part = std::function<ModelBuilder::Value(ModelBuilder& b, int64_t i,
                                                 const std::string& module, ModelBuilder::Value x)>;
  Part self_attention, mlp;

  const AttentionSpec& attentionOf(int64_t layer) const {
    return attentions.empty() ? attention : attentions[layer];
  }
  std::string ropeOf(int64_t layer) const { return rope_of ? rope_of(layer) : ropes.front().first; }
};

// What the families' config.json files share. Errors are the reader's.
DecoderSpec readDecoder(const ConfigReader& config, const Defaults& defaults = {});
// A number that null switches off (0), with what it is when it is left out.
int64_t readWindow(const ConfigReader& config, int64_t otherwise);
double readCap(const ConfigReader& config, std::string_view key, double otherwise);
// The activation function that a field names; silu and an error when it names none that is known.
std::string readActivation(const ConfigReader& config, std::string_view key,
                           const std::string& otherwise);
// One string for each layer; empty, without an error, where the field is absent.
std::vector<std::string> readLayerTypes(const ConfigReader& config, int64_t layers);

// The window of every layer, 0 where there is none: sliding_window (`otherwise` where it is left
// out) of the layers that layer_types names sliding_attention, the others being full_attention;
// without layer_types of all but every `pattern`-th.
std::vector<int64_t> readSlidingWindows(const ConfigReader& config, int64_t layers, int64_t pattern,
                                        int64_t otherwise);

// Gives the layers of these numbers a window of the last tokens; 0: none.
void setWindows(DecoderSpec& spec, const std::vector<int64_t>& windows);
// Windows of Qwen 2 and 3: of the layers that layer_types names or, without it, of those from
// max_window_layers on, if use_sliding_window.
std::vector<int64_t> readWindows(const ConfigReader& config, int64_t layers);

// attention_bias of q, k, v and o, and mlp_bias, as Llama's; both false where they are left out.
void readBiases(const ConfigReader& config, DecoderSpec& spec);

// The spec as a model; or the reader's first error.
Result<std::unique_ptr<Model>> makeDecoder(DecoderSpec spec, const ConfigReader& config);

// transformers' own plan of these families, and the vocabulary cut on both ends: the table by rows,
// the head by columns, whose logits stay cut.
std::span<const PlanRule> densePlan();

}  // namespace dcc::huggingface
