#include "train/data_samples.h"

#include <algorithm>
#include <ctime>

#include "host/error.h"
#include "tokenizer/utf8.h"
#include "train/data_chat.h"

namespace kinglet::train {
namespace {

Status no_tokenizer() {
  return Status(Code::invalid_argument, "the model has no tokenizer, so that rows must be input_ids");
}

Json user_message(const Json& text) { return {{"role", "user"}, {"content", text}}; }
Json assistant_message(const Json& text) { return {{"role", "assistant"}, {"content", text}}; }

/// `side` as messages; a text is what the user, or the assistant, says.
Json as_messages(const Json& side, Json (*message)(const Json&)) {
  return side.is_array() ? side : Json::array({message(side)});
}

}  // namespace

int64_t counted_targets(const Sample& sample) {
  if (sample.labels.empty()) return 0;
  return static_cast<int64_t>(sample.labels.size()) - 1 -
         std::count(sample.labels.begin() + 1, sample.labels.end(), kIgnore);
}

Result<SampleMaker> SampleMaker::create(const Tokenizer* tokenizer, ChatSource source, SampleOptions options) {
  if (options.vocabulary == 0) {
    if (tokenizer == nullptr)
      return Status(Code::invalid_argument, "without a tokenizer the vocabulary's size must be given");
    options.vocabulary = tokenizer->vocab_size();
  }
  if (!options.now) options.now = static_cast<int64_t>(std::time(nullptr));
  std::optional<ChatFormat> format;
  if (tokenizer != nullptr && !(source.text.empty() && source.tool_text.empty())) {
    KL_ASSIGN(format, ChatFormat::create(*tokenizer, std::move(source)));
  }
  return SampleMaker(tokenizer, std::move(format), std::move(options));
}

Result<Sample> SampleMaker::of_text(const TextRow& row) const {
  if (tokenizer_ == nullptr) return no_tokenizer();
  Sample sample{.ids = plain_prompt(*tokenizer_, row.text, options_.special), .labels = {}};
  const auto eos = tokenizer_->eos();
  if (options_.end_of_text && eos && (sample.ids.empty() || sample.ids.back() != *eos)) sample.ids.push_back(*eos);
  sample.labels = sample.ids;
  return sample;
}

Result<Sample> SampleMaker::of_ids(const IdsRow& row) const { return Sample{.ids = row.ids, .labels = row.labels}; }

Result<Sample> SampleMaker::of_chat(const Json& messages, const Json& tools, const Json& variables,
                                    size_t first) const {
  if (tokenizer_ == nullptr) return no_tokenizer();
  if (!format_)
    return Status(Code::unsupported,
                  "rows are conversations and this model has no chat template; give one with --template FILE");
  Conversation conversation;
  conversation.messages = messages;
  conversation.tools = tools;
  conversation.variables = variables;
  conversation.now = options_.now;
  if (options_.loss == LossOn::last_answer && !messages.empty()) first = std::max(first, messages.size() - 1);
  KL_ASSIGN(AnsweredChat chat,
            encode_answers(*format_, conversation, options_.loss == LossOn::everything ? messages.size() : first));
  Sample sample;
  if (options_.loss == LossOn::everything) {
    sample.labels = chat.ids;
  } else {
    sample.labels.assign(chat.ids.size(), kIgnore);
    for (const AnswerRange& range : chat.answers)
      for (size_t i = range.begin; i < range.end; ++i) sample.labels[i] = chat.ids[i];
  }
  sample.ids = std::move(chat.ids);
  return sample;
}

/// The prompt's ids are those that `kinglet run --raw` evaluates; the completion is what follows them in the ids of the
/// two texts joined.
Result<Sample> SampleMaker::of_plain(const std::string& prompt, const std::string& completion) const {
  if (tokenizer_ == nullptr) return no_tokenizer();
  const std::vector<TokenId> asked = plain_prompt(*tokenizer_, prompt, options_.special);
  Sample sample{.ids = plain_prompt(*tokenizer_, prompt + completion, options_.special), .labels = {}};
  const auto eos = tokenizer_->eos();
  if (options_.end_of_text && eos && (sample.ids.empty() || sample.ids.back() != *eos)) sample.ids.push_back(*eos);
  sample.labels = sample.ids;
  const size_t masked = options_.loss == LossOn::everything ? 0 : common_prefix(asked, sample.ids);
  std::fill_n(sample.labels.begin(), masked, kIgnore);
  return sample;
}

Result<Sample> SampleMaker::of_prompt(const PromptRow& row, const Json& answer) const {
  if (row.prompt.is_string() && answer.is_string() && !uses_template())
    return of_plain(row.prompt.get_ref<const std::string&>(), answer.get_ref<const std::string&>());
  Json messages = as_messages(row.prompt, user_message);
  const size_t first = messages.size();
  for (Json& message : as_messages(answer, assistant_message)) messages.push_back(std::move(message));
  return of_chat(messages, row.tools, row.variables, first);
}

Status SampleMaker::check(const Sample& sample) const {
  for (const int32_t id : sample.ids) {
    if (id < 0 || id >= options_.vocabulary)
      return error(Code::out_of_range, "token id {} is outside the vocabulary of {}", id, options_.vocabulary);
  }
  for (const int32_t id : sample.labels) {
    if (id != kIgnore && (id < 0 || id >= options_.vocabulary))
      return error(Code::out_of_range, "label {} is neither {} nor a token of {}", id, kIgnore, options_.vocabulary);
  }
  const auto bos = tokenizer_ == nullptr ? std::nullopt : tokenizer_->bos();
  if (bos && sample.ids.size() > 1 && sample.ids[0] == *bos && sample.ids[1] == *bos) {
    return error(Code::unsupported, "a sample begins with {} twice: the data or the template writes one too many",
                 tokenizer_->token_text(*bos));
  }
  if (counted_targets(sample) == 0) return Status(Code::corrupt, "nothing to learn: no token counts for the loss");
  return ok_status();
}

void SampleMaker::shorten(Sample& sample, Cut& cut) const {
  const auto limit = static_cast<size_t>(options_.max_length);
  if (limit == 0 || sample.ids.size() <= limit) return;
  cut.tokens += static_cast<int64_t>(sample.ids.size() - limit);
  sample.ids.resize(limit);
  sample.labels.resize(limit);
}

Result<Sample> SampleMaker::sample(const Row& row, Cut& cut) const {
  cut = {};
  KL_ASSIGN(Sample made, uncut(row));
  KL_TRY(check(made));
  if (!std::holds_alternative<TextRow>(row.content)) shorten(made, cut);
  return made;
}

Result<Sample> SampleMaker::uncut(const Row& row) const {
  if (const auto* text = std::get_if<TextRow>(&row.content)) return of_text(*text);
  if (const auto* ids = std::get_if<IdsRow>(&row.content)) return of_ids(*ids);
  if (const auto* chat = std::get_if<ChatRow>(&row.content))
    return of_chat(chat->messages, chat->tools, chat->variables, 0);
  const auto& prompt = std::get<PromptRow>(row.content);
  if (prompt.completion.is_null()) return Status(Code::corrupt, "a preference, where one answer is wanted");
  return of_prompt(prompt, prompt.completion);
}

Result<SamplePair> SampleMaker::pair(const Row& row, Cut& cut) const {
  const auto* prompt = std::get_if<PromptRow>(&row.content);
  if (prompt == nullptr || prompt->chosen.is_null())
    return Status(Code::corrupt, "no preference: it takes prompt, chosen and rejected");
  cut = {};
  SamplePair out;
  KL_ASSIGN(out.chosen, of_prompt(*prompt, prompt->chosen));
  KL_ASSIGN(out.rejected, of_prompt(*prompt, prompt->rejected));
  for (Sample* sample : {&out.chosen, &out.rejected}) {
    KL_TRY(check(*sample));
    shorten(*sample, cut);
  }
  return out;
}

std::string masked_text(const Tokenizer* tokenizer, const Sample& sample, size_t max_tokens) {
  std::string out;
  bool counts = false;
  const size_t shown = std::min(sample.ids.size(), max_tokens);
  for (size_t i = 0; i < shown; ++i) {
    const bool now = i > 0 && sample.labels[i] != kIgnore;
    if (now != counts) out += now ? "«" : "»";
    counts = now;
    if (tokenizer != nullptr) {
      bool drop_space = false;
      std::string piece;
      tokenizer->append_piece(sample.ids[i], SpecialTokens::parse, drop_space, piece);
      out += piece;
    } else {
      out += fmt::format("{}{}", i == 0 ? "" : " ", sample.ids[i]);
    }
  }
  if (counts) out += "»";
  if (shown < sample.ids.size()) out += fmt::format(" ... {} more tokens", sample.ids.size() - shown);
  return replace_invalid_utf8(out);
}

}  // namespace kinglet::train
