// Sessions of the C interface: text that goes on, and conversations.
#include "api/boundary.h"
#include "api/handles.h"
#include "engine/generate.h"
#include "host/error.h"
#include "tokenizer/chat_source.h"

namespace kinglet::api {
namespace {

constexpr int32_t kDefaultContext = 4096;
constexpr kinglet_session_options kSessionDefaults{sizeof(kinglet_session_options), 0};

kinglet_sampling sampling_defaults() {
  const SamplingOptions defaults;
  kinglet_sampling c{};
  c.size = sizeof(c);
  c.top_k = defaults.top_k;
  c.temperature = defaults.temperature;
  c.top_p = defaults.top_p;
  c.min_p = defaults.min_p;
  c.typical_p = defaults.typical_p;
  c.repetition_penalty = defaults.repetition_penalty;
  c.presence_penalty = defaults.presence_penalty;
  c.frequency_penalty = defaults.frequency_penalty;
  c.penalty_window = defaults.penalty_window;
  c.seed = defaults.seed;
  return c;
}

/// What the engine takes, from what the caller gave; numbers out of range are the sampler's to refuse.
Result<GenerateOptions> generate_options(const kinglet_sampling* given) {
  KL_ASSIGN(const kinglet_sampling c, read_options(given, sampling_defaults()));
  if (c.max_tokens < 0) return error(Code::invalid_argument, "max_tokens is {}, below 0", c.max_tokens);
  GenerateOptions options;
  options.sampling.temperature = c.temperature;
  options.sampling.top_k = c.top_k;
  options.sampling.top_p = c.top_p;
  options.sampling.min_p = c.min_p;
  options.sampling.typical_p = c.typical_p;
  options.sampling.repetition_penalty = c.repetition_penalty;
  options.sampling.presence_penalty = c.presence_penalty;
  options.sampling.frequency_penalty = c.frequency_penalty;
  options.sampling.penalty_window = c.penalty_window;
  options.sampling.seed = c.seed;
  options.max_tokens = c.max_tokens;
  if (c.stop_count > 0 && c.stops == nullptr)
    return Status(Code::invalid_argument, "stops is NULL and stop_count is not 0");
  for (size_t i = 0; i < c.stop_count; ++i) {
    if (c.stops[i] == nullptr) return error(Code::invalid_argument, "stop text {} is NULL", i);
    options.stops.emplace_back(c.stops[i]);
  }
  return options;
}

static_assert(static_cast<int>(Finish::end) == KINGLET_STOP_END &&
                  static_cast<int>(Finish::length) == KINGLET_STOP_LENGTH &&
                  static_cast<int>(Finish::stop) == KINGLET_STOP_TEXT &&
                  static_cast<int>(Finish::context) == KINGLET_STOP_CONTEXT &&
                  static_cast<int>(Finish::cancelled) == KINGLET_STOP_CANCELLED,
              "kinglet_stop_reason lists what engine/generate.h does");

/// Where an answer goes.
struct Receiver {
  kinglet_text_callback callback;
  void* user;
  kinglet_answer* answer;
};

GenerateCallbacks callbacks_to(const Receiver& to) {
  GenerateCallbacks callbacks;
  if (to.callback != nullptr) {
    callbacks.on_text = [&](std::string_view piece) { return to.callback(piece.data(), piece.size(), to.user) == 0; };
  }
  return callbacks;
}

Status write_answer(const Result<Generation>& generation, const Receiver& to) {
  if (!generation.ok()) return generation.status();
  if (to.answer == nullptr) return ok_status();
  kinglet_answer values{};
  values.reason = static_cast<kinglet_stop_reason>(generation->finish);
  values.prompt_tokens = static_cast<int32_t>(generation->prompt_tokens - generation->cached_tokens);
  values.answer_tokens = static_cast<int32_t>(generation->answer_tokens);
  values.prompt_seconds = generation->prompt_seconds;
  values.answer_seconds = generation->answer_seconds;
  write_options(to.answer, values, to.answer->size);
  return ok_status();
}

/// What every answer needs before it begins.
Status check(const kinglet_session& s, const char* text, size_t text_size, const kinglet_answer* answer) {
  if (s.open->tokenizer == nullptr) return s.open->tokenizer_status;
  if (text == nullptr && text_size > 0) return Status(Code::invalid_argument, "the text is NULL");
  if (answer != nullptr && answer->size < sizeof(size_t))
    return Status(Code::invalid_argument, "the answer's size is not set");
  return ok_status();
}

Status continue_text(kinglet_session& s, std::string_view text, const kinglet_sampling* sampling, const Receiver& to) {
  KL_ASSIGN(GenerateOptions options, generate_options(sampling));
  options.start = StreamStart::mid_text;
  std::vector<TokenId> prompt = s.session.tokens();
  const Tokenizer& tokenizer = *s.open->tokenizer;
  const std::vector<TokenId> more = prompt.empty() ? plain_prompt(tokenizer, text) : tokenizer.encode(text);
  prompt.insert(prompt.end(), more.begin(), more.end());
  return write_answer(generate(s.session, tokenizer, prompt, options, callbacks_to(to)), to);
}

Status say(kinglet_session& s, std::string_view text, const kinglet_sampling* sampling, const Receiver& to) {
  KL_ASSIGN(const GenerateOptions options, generate_options(sampling));
  if (!s.chat) {
    const Tokenizer& tokenizer = *s.open->tokenizer;
    KL_ASSIGN(ChatFormat format, ChatFormat::create(tokenizer, chat_source(s.open->model->checkpoint())));
    s.chat.emplace(s.session, tokenizer, std::move(format)).set_system(s.system);
  }
  return write_answer(s.chat->say(text, options, callbacks_to(to)), to);
}

Result<kinglet_session*> open_session(const kinglet_model* model, const kinglet_session_options* given) {
  if (model == nullptr) return Status(Code::invalid_argument, "there is no model");
  KL_ASSIGN(const kinglet_session_options options, read_options(given, kSessionDefaults));
  if (options.context < 0) return error(Code::invalid_argument, "a context of {} tokens", options.context);
  const int64_t made_for = model->open->model->hyper().context;
  const int64_t context = options.context > 0 ? options.context : std::min<int64_t>(made_for, kDefaultContext);
  RunnerOptions runner_options;
  runner_options.threads = model->open->threads;
  runner_options.context = context;
  KL_ASSIGN(auto runner, Runner::create(*model->open->model, runner_options));
  return new kinglet_session(model->open, std::move(runner));
}

}  // namespace
}  // namespace kinglet::api

using namespace kinglet;  // NOLINT(google-build-using-namespace): below are the C functions, outside every namespace

extern "C" {

void kinglet_session_options_init_sized(kinglet_session_options* options, size_t size) {
  if (options != nullptr) api::write_options(options, api::kSessionDefaults, size);
}

void kinglet_sampling_init_sized(kinglet_sampling* sampling, size_t size) {
  if (sampling != nullptr) api::write_options(sampling, api::sampling_defaults(), size);
}

kinglet_code kinglet_session_open(kinglet_model* model, const kinglet_session_options* options,
                                  kinglet_session** session, kinglet_error* error) {
  return api::guard(error, [&]() -> Status {
    if (session == nullptr) return Status(Code::invalid_argument, "there is no place for the session");
    KL_ASSIGN(*session, api::open_session(model, options));
    return ok_status();
  });
}

void kinglet_session_close(kinglet_session* session) { delete session; }

kinglet_code kinglet_generate(kinglet_session* session, const char* text, size_t text_size,
                              const kinglet_sampling* sampling, kinglet_text_callback callback, void* user,
                              kinglet_answer* answer, kinglet_error* error) {
  return api::guard(error, [&]() -> Status {
    KL_TRY(api::check(*session, text, text_size, answer));
    return api::continue_text(*session, {text, text_size}, sampling, {callback, user, answer});
  });
}

kinglet_code kinglet_set_system(kinglet_session* session, const char* text, size_t text_size, kinglet_error* error) {
  return api::guard(error, [&]() -> Status {
    if (session->chat && session->chat->begun())
      return Status(Code::invalid_argument, "the conversation has begun; reset the session first");
    session->system = std::string_view(text, text_size);
    if (session->chat) session->chat->set_system(session->system);
    return ok_status();
  });
}

kinglet_code kinglet_chat(kinglet_session* session, const char* text, size_t text_size,
                          const kinglet_sampling* sampling, kinglet_text_callback callback, void* user,
                          kinglet_answer* answer, kinglet_error* error) {
  return api::guard(error, [&]() -> Status {
    KL_TRY(api::check(*session, text, text_size, answer));
    return api::say(*session, {text, text_size}, sampling, {callback, user, answer});
  });
}

void kinglet_session_reset(kinglet_session* session) {
  session->chat.reset();
  session->system.clear();
  session->session = Session(*session->runner);
}

size_t kinglet_session_length(const kinglet_session* session) { return static_cast<size_t>(session->session.length()); }

}  // extern "C"
