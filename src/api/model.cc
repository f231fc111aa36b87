// Models, tokens and logits of the C interface.
#include "api/boundary.h"
#include "api/handles.h"
#include "base/version.h"
#include "engine/runner.h"
#include "host/error.h"
#include "hub/home.h"
#include "hub/resolve.h"

namespace kinglet::api {
namespace {

constexpr kinglet_model_options kModelDefaults{sizeof(kinglet_model_options), 0, 0, 0};

Result<std::shared_ptr<OpenModel>> open_model(const char* name, const kinglet_model_options* given) {
  if (name == nullptr) return Status(Code::invalid_argument, "no model was named");
  KL_ASSIGN(const kinglet_model_options options, read_options(given, kModelDefaults));
  if (options.threads < 0 || options.threads > 1024)
    return error(Code::invalid_argument, "{} threads", options.threads);
  KL_ASSIGN(const std::string path, hub::resolve_model(name));
  auto open = std::make_shared<OpenModel>(options.memory_bytes == 0 ? UINT64_MAX : options.memory_bytes);
  ModelOptions model_options;
  if (options.reference != 0) model_options.kernels = "ref";
  if (const auto home = hub::home_directory(); home.ok()) model_options.packing_folder = (*home / "packed").string();
  KL_ASSIGN(open->model, Model::load(path, model_options, open->ledger));
  open->threads = options.threads;
  open->architecture = open->model->spec().architecture->name;
  for (const ParamShape& param : open->model->program().shapes) {
    open->parameters += static_cast<uint64_t>(param.shape.count().value_or(0));
  }
  // Now, not when first asked for: a model may be used from several threads at once.
  auto tokenizer = open->model->tokenizer();
  if (tokenizer.ok()) {
    open->tokenizer = *tokenizer;
  } else {
    open->tokenizer_status = tokenizer.status();
  }
  return open;
}

/// Copies a result to the caller, or says how much room it needs.
template <typename T>
Status copy_out(std::span<const T> values, T* out, size_t capacity, size_t* count) {
  if (count != nullptr) *count = values.size();
  if (values.size() > capacity) {
    return error(Code::out_of_range, "the result needs room for {} and there is room for {}", values.size(), capacity);
  }
  std::copy(values.begin(), values.end(), out);
  return ok_status();
}

/// Evaluates `tokens` in batches that give every row's logits.
Status compute_logits(const OpenModel& open, std::span<const TokenId> tokens, float* logits, size_t capacity) {
  const auto V = static_cast<size_t>(open.model->hyper().V);
  if (tokens.empty()) return ok_status();
  if (capacity / V < tokens.size()) {
    return error(Code::out_of_range, "the result needs room for {} x {} numbers and there is room for {}",
                 tokens.size(), V, capacity);
  }
  const auto T = static_cast<int64_t>(tokens.size());
  const int64_t batch = std::min<int64_t>(T, 128);
  RunnerOptions options;
  options.threads = open.threads;
  options.context = T;
  options.batch_tokens = options.outputs = batch;
  KL_ASSIGN(const auto runner, Runner::create(*open.model, options));
  KvSequence kv = runner->new_sequence();
  for (size_t done = 0; done < tokens.size();) {
    const auto part_tokens = tokens.subspan(done, std::min(tokens.size() - done, static_cast<size_t>(batch)));
    const BatchPart part{&kv, part_tokens, Outputs::all, T > open.model->original_context()};
    KL_TRY(runner->run({&part, 1}));
    for (size_t i = 0; i < part_tokens.size(); ++i) {
      const auto row = runner->logits(static_cast<int64_t>(i));
      std::copy(row.begin(), row.end(), logits + (done + i) * V);
    }
    done += part_tokens.size();
  }
  return ok_status();
}

SpecialTokens special(uint32_t flags) {
  return (flags & KINGLET_PARSE_SPECIAL) != 0 ? SpecialTokens::parse : SpecialTokens::as_text;
}

}  // namespace
}  // namespace kinglet::api

using namespace kinglet;  // NOLINT(google-build-using-namespace): below are the C functions, outside every namespace

extern "C" {

const char* kinglet_version(void) { return kVersion; }

void kinglet_model_options_init_sized(kinglet_model_options* options, size_t size) {
  if (options != nullptr) api::write_options(options, api::kModelDefaults, size);
}

kinglet_code kinglet_model_open(const char* name, const kinglet_model_options* options, kinglet_model** model,
                                kinglet_error* error) {
  return api::guard(error, [&]() -> Status {
    if (model == nullptr) return Status(Code::invalid_argument, "there is no place for the model");
    KL_ASSIGN(auto open, api::open_model(name, options));
    *model = new kinglet_model{std::move(open)};
    return ok_status();
  });
}

void kinglet_model_close(kinglet_model* model) { delete model; }

const char* kinglet_model_architecture(const kinglet_model* model) { return model->open->architecture.c_str(); }

int32_t kinglet_model_vocab_size(const kinglet_model* model) {
  return static_cast<int32_t>(model->open->model->hyper().V);
}

int32_t kinglet_model_context_length(const kinglet_model* model) {
  return static_cast<int32_t>(std::min<int64_t>(model->open->model->hyper().context, INT32_MAX));
}

uint64_t kinglet_model_parameter_count(const kinglet_model* model) { return model->open->parameters; }

int32_t kinglet_model_has_tokenizer(const kinglet_model* model) { return model->open->tokenizer != nullptr ? 1 : 0; }

kinglet_code kinglet_tokenize(const kinglet_model* model, const char* text, size_t text_size, uint32_t flags,
                              kinglet_token* tokens, size_t capacity, size_t* count, kinglet_error* error) {
  return api::guard(error, [&]() -> Status {
    const api::OpenModel& open = *model->open;
    if (open.tokenizer == nullptr) return open.tokenizer_status;
    std::vector<TokenId> ids = open.tokenizer->encode({text, text_size}, api::special(flags));
    if ((flags & KINGLET_ADD_BOS) != 0 && open.tokenizer->bos()) ids.insert(ids.begin(), *open.tokenizer->bos());
    return api::copy_out<TokenId>(ids, tokens, capacity, count);
  });
}

kinglet_code kinglet_detokenize(const kinglet_model* model, const kinglet_token* tokens, size_t count, uint32_t flags,
                                char* text, size_t capacity, size_t* size, kinglet_error* error) {
  return api::guard(error, [&]() -> Status {
    const api::OpenModel& open = *model->open;
    if (open.tokenizer == nullptr) return open.tokenizer_status;
    for (size_t i = 0; i < count; ++i) {
      if (tokens[i] < 0 || tokens[i] >= open.tokenizer->vocab_size()) {
        return kinglet::error(Code::out_of_range, "token {} is outside the vocabulary of {}", tokens[i],
                              open.tokenizer->vocab_size());
      }
    }
    const std::string joined = open.tokenizer->decode({tokens, count}, api::special(flags));
    return api::copy_out<char>(joined, text, capacity, size);
  });
}

kinglet_code kinglet_logits(kinglet_model* model, const kinglet_token* tokens, size_t count, float* logits,
                            size_t capacity, kinglet_error* error) {
  return api::guard(error, [&] { return api::compute_logits(*model->open, {tokens, count}, logits, capacity); });
}

}  // extern "C"
