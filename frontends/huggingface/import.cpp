#include "frontends/huggingface/import.h"

#include <filesystem>

#include "frontends/huggingface/dummy_weights.h"
#include "frontends/huggingface/family.h"

using namespace mlir;

namespace dcc::huggingface {
namespace {

constexpr int64_t kDefaultTokens = 512;  // of a step: enough rows to keep the matrix units busy
constexpr int64_t kDefaultSequences = 8;
// Of a model that encodes, whose texts cost no cache and come many at a time.
constexpr int64_t kDefaultTexts = 128;
constexpr int64_t kDefaultTextTokens = 2048;
// Sizes of a step's arrays stay far from 32 bits.
constexpr int64_t kMostTokens = 1 << 20;

// A text is in one step as a whole: what is not said follows from what is.
void setEncoderLimits(Limits& limits, const ImportOptions& options, const Model& model) {
  if (!options.max_tokens) {
    limits.max_tokens = std::max({kDefaultTextTokens, limits.max_seq_len, options.max_seqs});
  } else if (!options.max_seq_len) {
    limits.max_seq_len = std::min(model.maxSequence(), limits.max_tokens);
  }
  if (!options.max_seqs) limits.max_seqs = std::min(kDefaultTexts, limits.max_tokens);
}

Result<Limits> limitsOf(const ImportOptions& options, const Model& model) {
  Limits limits;
  limits.max_seq_len = options.max_seq_len ? options.max_seq_len : model.maxSequence();
  limits.max_tokens = options.max_tokens ? options.max_tokens : kDefaultTokens;
  limits.max_seqs =
      options.max_seqs ? options.max_seqs : std::min(kDefaultSequences, limits.max_tokens);
  if (model.encodes()) setEncoderLimits(limits, options, model);
  if (limits.max_seq_len > model.maxSequence()) {
    return userError("--max-seq-len " + std::to_string(limits.max_seq_len) +
                     ": the model's limit is " + std::to_string(model.maxSequence()) + " tokens");
  }
  if (limits.max_tokens > kMostTokens) {
    return userError("--max-tokens " + std::to_string(limits.max_tokens) + ": at most " +
                     std::to_string(kMostTokens) + " tokens fit a step");
  }
  if (model.encodes() && limits.max_seq_len > limits.max_tokens) {
    return userError("--max-seq-len " + std::to_string(limits.max_seq_len) +
                     ": a text is encoded in one step, so at most --max-tokens = " +
                     std::to_string(limits.max_tokens));
  }
  if (limits.max_seqs > limits.max_tokens) {
    return userError("--max-seqs " + std::to_string(limits.max_seqs) +
                     ": every sequence has a token in a step, so at most --max-tokens = " +
                     std::to_string(limits.max_tokens));
  }
  return limits;
}

// What of quantization_config this build decodes.
Status checkEncoding(const ConfigReader& config) {
  std::optional<ConfigReader> encoding = config.object("quantization_config");
  if (!encoding) return Status::success();
  const std::string method = encoding->stringOr("quant_method", "?");
  if (method != "mxfp4" && method != "fp8") {
    encoding->fail("quant_method", "weights encoded as '" + method +
                                       "' are not supported; mxfp4, fp8 with block scales, f32, "
                                       "bf16 and f16 are");
  } else if (method == "fp8" && encoding->mentions("weight_block_size") &&
             !encoding->has("weight_block_size")) {
    encoding->fail("weight_block_size", "fp8 with one scale for a tensor is not supported; block " +
                                            std::string("scales are"));
  }
  return config.status();
}

Result<std::unique_ptr<TensorSource>> openTensors(const ImportOptions& options,
                                                  const ConfigReader& config) {
  if (options.dummy_seed) {
    // As transformers: f32 where the config does not say.
    DType type = config.dtype().value_or(DType::kF32);
    DCC_RETURN_IF_ERROR(config.status());
    return std::unique_ptr<TensorSource>(std::make_unique<DummyWeights>(
        options.directory + "/config.json", type, *options.dummy_seed));
  }
  DCC_ASSIGN(Checkpoint checkpoint, Checkpoint::open(options.directory));
  if (std::optional<ConfigReader> encoding = config.object("quantization_config")) {
    std::vector<int64_t> blocks = encoding->integers("weight_block_size");
    if (blocks.empty()) blocks = {128, 128};
    if (blocks.size() != 2) encoding->fail("weight_block_size", "must be two numbers");
    DCC_RETURN_IF_ERROR(config.status());
    checkpoint.setBlocks(blocks[0], blocks[1]);
  }
  return std::unique_ptr<TensorSource>(std::make_unique<Checkpoint>(std::move(checkpoint)));
}

// "00ff..." of a header hash.
ArrayAttr filesAttr(OpBuilder& builder, const TensorSource& tensors) {
  SmallVector<Attribute> files;
  for (const CheckpointFile& file : tensors.files()) {
    if (file.random) {
      files.push_back(nn::RandomAttr::get(builder.getContext(), builder.getStringAttr(file.path),
                                          file.bytes, file.random->seed,
                                          builder.getF32FloatAttr(file.random->mean),
                                          builder.getF32FloatAttr(file.random->spread)));
      continue;
    }
    std::string name = file.path.substr(file.path.rfind('/') + 1);
    files.push_back(nn::FileAttr::get(builder.getContext(), builder.getStringAttr(name), file.bytes,
                                      builder.getStringAttr(file.header_hash.hex())));
  }
  return builder.getArrayAttr(files);
}

ArrayAttr planAttr(OpBuilder& builder, const ModelText& text, const ImportOptions& options) {
  SmallVector<Attribute> rules;
  auto add = [&](StringRef pattern, StringRef strategy, StringRef origin) {
    rules.push_back(nn::RuleAttr::get(builder.getContext(), builder.getStringAttr(pattern),
                                      builder.getStringAttr(strategy),
                                      builder.getStringAttr(origin)));
  };
  if (options.auto_plan) {
    for (const PlanRule& rule : text.plan) add(rule.pattern, rule.strategy, "auto");
  }
  for (size_t i = 0; i <= options.rules.size(); ++i) {
    if (options.expert_parallel && i == options.first_amendment) {
      for (const PlanRule& rule : text.expert_plan) {
        add(rule.pattern, rule.strategy, "--expert-parallel");
      }
    }
    if (i == options.rules.size()) break;
    const UserRule& rule = options.rules[i];
    add(rule.pattern, rule.strategy, rule.origin);
  }
  return builder.getArrayAttr(rules);
}

// The strategies that rules declare; null when none does.
ArrayAttr strategiesAttr(OpBuilder& builder, const ImportOptions& options) {
  SmallVector<Attribute> own;
  for (const UserRule& rule : options.rules) {
    if (!rule.definition) continue;
    const StrategySpec& spec = *rule.definition;
    own.push_back(nn::StrategyAttr::get(
        builder.getContext(), builder.getStringAttr(spec.name), spec.weight.value_or(-1),
        spec.bias.value_or(-1), spec.packed, builder.getStringAttr(spec.arrives),
        builder.getStringAttr(spec.input), builder.getStringAttr(spec.output)));
  }
  return own.empty() ? ArrayAttr() : builder.getArrayAttr(own);
}

Status buildEntries(ModelBuilder& builder, const Model& model, const Limits& limits) {
  struct Entry {
    const char* name;
    int64_t tokens;
    bool last_only;
  };
  // A step of decode has one token of each sequence.
  const Entry causal[] = {{kEntries[0], limits.max_tokens, true},
                          {kEntries[1], limits.max_seqs, false},
                          {kEntries[2], limits.max_tokens, false}};
  const Entry encode[] = {{"encode", limits.max_tokens, false}};
  for (const Entry& entry : model.encodes() ? std::span<const Entry>(encode) : causal) {
    builder.beginEntry(
        {entry.name, entry.tokens, limits.max_seqs, entry.last_only, model.tokenTypes() > 0});
    DCC_ASSIGN(const std::vector<NamedValue> results, model.results(builder));
    builder.endEntry(results);
  }
  return builder.status();
}

}  // namespace

Result<OwningOpRef<ModuleOp>> buildModule(MLIRContext& context, const Model& model,
                                          TensorSource& tensors, const ModelText& text,
                                          const ImportOptions& options) {
  DCC_ASSIGN(Limits limits, limitsOf(options, model));
  if (options.expert_parallel && text.expert_plan.empty()) {
    return userError("--expert-parallel: " + text.name + " has no experts; leave it out");
  }
  OpBuilder builder(&context);
  OwningOpRef<ModuleOp> module = ModuleOp::create(NameLoc::get(builder.getStringAttr(text.file)));
  ModelBuilder layers(*module, tensors, options.compute.value_or(text.stored));
  DCC_RETURN_IF_ERROR(buildEntries(layers, model, limits));

  SmallVector<StringAttr> names;
  SmallVector<int64_t> sizes;
  for (const MeshAxis& axis : options.mesh) {
    names.push_back(builder.getStringAttr(axis.name));
    sizes.push_back(axis.size);
  }
  auto number = [&](StringRef name, int64_t value) {
    return builder.getNamedAttr(name, builder.getI64IntegerAttr(value));
  };
  ModuleOp op = *module;
  op->setAttr("dist.mesh", dist::MeshAttr::get(&context, ArrayRef(names), ArrayRef(sizes)));
  op->setAttr("nn.model", builder.getStringAttr(text.name + ", " + model.size()));
  op->setAttr("nn.checkpoint",
              builder.getStringAttr(std::filesystem::absolute(options.directory).string()));
  op->setAttr("nn.files", filesAttr(builder, tensors));
  op->setAttr("nn.tp_plan", planAttr(builder, text, options));
  if (ArrayAttr own = strategiesAttr(builder, options)) op->setAttr("nn.strategies", own);
  op->setAttr("nn.vocabulary", builder.getI64IntegerAttr(model.vocabulary()));
  if (model.tokenTypes() > 0) {
    op->setAttr("nn.token_types", builder.getI64IntegerAttr(model.tokenTypes()));
  }
  op->setAttr("nn.limits", builder.getDictionaryAttr({number("max_tokens", limits.max_tokens),
                                                      number("max_seqs", limits.max_seqs),
                                                      number("max_seq_len", limits.max_seq_len)}));
  return module;
}

Result<OwningOpRef<ModuleOp>> importModel(MLIRContext& context, const ImportOptions& options) {
  DCC_ASSIGN(ConfigReader config, ConfigReader::open(options.directory + "/config.json"));
  const Family* family = findFamily(config);
  if (!family) {
    std::string name = config.architecture().empty() ? config.modelType() : config.architecture();
    return userError(options.directory + "/config.json: architecture '" + name +
                     "' is not known; known are " + familyNames());
  }
  DCC_RETURN_IF_ERROR(checkEncoding(config));
  DCC_ASSIGN(std::unique_ptr<Model> model, family->read(config));
  DCC_ASSIGN(std::unique_ptr<TensorSource> tensors, openTensors(options, config));
  ModelText text{.file = options.directory + "/config.json",
                 .name = std::string(family->architecture),
                 .plan = family->plan(),
                 .stored = config.dtype().value_or(DType::kF32)};
  if (family->expert_plan) text.expert_plan = family->expert_plan();
  return buildModule(context, *model, *tensors, text, options);
}

}  // namespace dcc::huggingface
