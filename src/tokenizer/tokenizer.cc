#include "tokenizer/tokenizer.h"

#include <algorithm>

#include "tokenizer/tokenizer_impl.h"
#include "tokenizer/utf8.h"

namespace kinglet {
namespace {

// Words are indexed by 32 bits; what is longer is cut, far past any text that a token could cross.
constexpr size_t kMaxWordBytes = size_t{1} << 28;

// Texts that end a turn or an answer in published models; a file that types them as user-defined means control tokens,
// and a user's text must not end its own turn with them.
constexpr std::string_view kEndOfTurn[] = {
    "<|eot_id|>",
    "<|eom_id|>",
    "<|im_end|>",
    "<|end|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|eot|>",
    "<|end_of_turn|>",
    "<turn|>",
    "<end_of_utterance>",
    "<|return|>",
    "<|call|>",
    "<EOT>",
    "[EOT]",
    "<|END_OF_TURN_TOKEN|>",
    "<｜end▁of▁sentence｜>",
};
// These end an answer too, where they are control tokens: the ends of texts and of files in code models.
constexpr std::string_view kEndOfText[] = {"</s>", "<eos>", "[EOS]", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"};

void replace_marks(std::string_view text, std::string& out) {
  out.clear();
  for (size_t done = 0; done < text.size();) {
    const size_t mark = std::min(text.find(kSpaceMark, done), text.size());
    out.append(text.substr(done, mark - done));
    if (mark < text.size()) out.push_back(' ');
    done = mark + kSpaceMark.size();
  }
}

/// What a token of the vocabulary adds to a text.
void spell_piece(Spelling spelling, TokenKind kind, std::string_view text, std::string& out) {
  out.assign(text);
  if (kind == TokenKind::control || kind == TokenKind::unknown) return;
  switch (spelling) {
    case Spelling::byte_level:
      if (kind == TokenKind::user_defined) return;
      if (auto bytes = decode_byte_level(text)) out = *std::move(bytes);
      return;
    case Spelling::space_mark:
      if (kind == TokenKind::byte) {
        if (const auto byte = byte_of_token_text(text)) out.assign(1, static_cast<char>(*byte));
        return;
      }
      return replace_marks(text, out);
    case Spelling::word_mark:
      return replace_marks(text, out);
    case Spelling::hash_mark:
      if (text.starts_with("##")) {
        out.erase(0, 2);
      } else {
        out.insert(0, 1, ' ');
      }
      return;
  }
}

}  // namespace

std::unique_ptr<EncodeScratch> ScratchPool::take() {
  {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      auto scratch = std::move(free_.back());
      free_.pop_back();
      return scratch;
    }
  }
  return std::make_unique<EncodeScratch>();
}

void ScratchPool::give(std::unique_ptr<EncodeScratch> scratch) {
  constexpr size_t kKept = 64;
  constexpr size_t kKeptSymbols = size_t{1} << 16;  // a huge text's buffers go back to the system
  if (scratch->symbols.capacity() > kKeptSymbols) std::vector<MergeSymbol>().swap(scratch->symbols);
  if (scratch->heap.capacity() > kKeptSymbols) std::vector<MergeCandidate>().swap(scratch->heap);
  if (scratch->path.capacity() > kKeptSymbols) std::vector<PathNode>().swap(scratch->path);
  if (scratch->text.capacity() > kKeptSymbols * 16) std::string().swap(scratch->text);
  const std::lock_guard lock(mutex_);
  if (free_.size() < kKept) free_.push_back(std::move(scratch));
}

void Tokenizer::Impl::settle_kinds() {
  const auto make_control = [this](std::string_view text) {
    const TokenId id = vocabulary.find(text);
    if (id >= 0 && vocabulary.kind(id) == TokenKind::user_defined) vocabulary.set_kind(id, TokenKind::control);
  };
  for (const std::string_view text : kEndOfTurn) make_control(text);
  // </s> is an end where <s> is a beginning; elsewhere (Gemma) the two are tags of HTML.
  const TokenId begin = vocabulary.find("<s>");
  if (begin >= 0 && vocabulary.kind(begin) == TokenKind::control) make_control("</s>");
}

void Tokenizer::Impl::spell_pieces() {
  pieces.reserve(static_cast<size_t>(vocabulary.size()), vocabulary.texts().bytes());
  std::string piece;
  for (TokenId id = 0; id < vocabulary.size(); ++id) {
    spell_piece(spelling, vocabulary.kind(id), vocabulary.text(id), piece);
    pieces.add(piece);
  }
}

void Tokenizer::Impl::match_specials() {
  std::vector<SpecialMatcher::Entry> entries;
  for (TokenId id = 0; id < vocabulary.size(); ++id) {
    const TokenKind kind = vocabulary.kind(id);
    const bool control = kind == TokenKind::control || kind == TokenKind::unknown;
    if (control || kind == TokenKind::user_defined) {
      entries.push_back({vocabulary.text(id), {.id = id, .control = control}});
    }
  }
  specials = SpecialMatcher(entries);
}

void Tokenizer::Impl::add_end_token(std::optional<TokenId> id) {
  if (id && vocabulary.contains(*id)) end_tokens.push_back(*id);
}

void Tokenizer::Impl::find_end_tokens() {
  add_end_token(eos);
  const auto control = [this](std::string_view text) {
    const TokenId id = vocabulary.find(text);
    return id >= 0 && vocabulary.kind(id) == TokenKind::control ? std::optional(id) : std::nullopt;
  };
  // In the harmony format <|end|> ends a message and not the answer.
  const bool harmony = control("<|return|>") && control("<|call|>");
  for (const std::string_view text : kEndOfTurn) {
    if (!(harmony && text == "<|end|>")) add_end_token(control(text));
  }
  for (const std::string_view text : kEndOfText) add_end_token(control(text));
  std::sort(end_tokens.begin(), end_tokens.end());
  end_tokens.erase(std::unique(end_tokens.begin(), end_tokens.end()), end_tokens.end());
}

void Tokenizer::Impl::append_piece(TokenId id, SpecialTokens special, bool& drop_space, std::string& out) const {
  if (!vocabulary.contains(id)) return;
  std::string_view piece = pieces[static_cast<size_t>(id)];
  const TokenKind kind = vocabulary.kind(id);
  if (kind == TokenKind::control || kind == TokenKind::unknown) {
    if (special == SpecialTokens::as_text) return;
    out.append(piece);
    drop_space = prefix_each;
    return;
  }
  if (drop_space && piece.starts_with(' ')) piece.remove_prefix(1);
  drop_space = kind == TokenKind::user_defined && prefix_each;
  out.append(piece);
}

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

std::vector<TokenId> Tokenizer::encode(std::string_view text, SpecialTokens special) const {
  return encode(text, special, {});
}
std::vector<TokenId> Tokenizer::encode(std::string_view text, std::span<const size_t> seams) const {
  return encode(text, SpecialTokens::parse, seams);
}
std::vector<size_t> Tokenizer::control_places(std::string_view text) const {
  return impl_->specials.control_places(text);
}

std::vector<TokenId> Tokenizer::encode(std::string_view text, SpecialTokens special,
                                       std::span<const size_t> seams) const {
  const Impl& impl = *impl_;
  std::vector<TokenId> ids;
  ids.reserve(text.size() / 4 + 8);
  auto scratch = impl.scratch.take();
  const auto on_word = [&](std::string_view word, bool) {
    for (; word.size() > kMaxWordBytes; word.remove_prefix(kMaxWordBytes)) {
      impl.model->encode(word.substr(0, kMaxWordBytes), *scratch, ids);
    }
    if (!word.empty()) impl.model->encode(word, *scratch, ids);
  };
  const auto on_text = [&](std::string_view part, bool at_start) {
    const std::string_view normal = run_normalizers(impl.normalizers, part, scratch->text);
    run_pretokenizers(impl.pretokenizers, normal, at_start, on_word);
  };
  impl.specials.partition(text, special, seams, on_text, [&](TokenId id) { ids.push_back(id); });
  impl.scratch.give(std::move(scratch));
  return ids;
}

std::string Tokenizer::decode(std::span<const TokenId> ids, SpecialTokens special) const {
  std::string text;
  bool drop_space = impl_->prefix_space;
  for (const TokenId id : ids) impl_->append_piece(id, special, drop_space, text);
  return text;
}

std::string Tokenizer::piece(TokenId id) const {
  return impl_->vocabulary.contains(id) ? std::string(impl_->pieces[static_cast<size_t>(id)]) : std::string();
}

int32_t Tokenizer::vocab_size() const { return impl_->vocabulary.size(); }

std::string_view Tokenizer::token_text(TokenId id) const {
  return impl_->vocabulary.contains(id) ? impl_->vocabulary.text(id) : std::string_view();
}

bool Tokenizer::is_control(TokenId id) const {
  return impl_->vocabulary.contains(id) && impl_->vocabulary.kind(id) == TokenKind::control;
}

std::optional<TokenId> Tokenizer::find(std::string_view token_text) const {
  const TokenId id = impl_->vocabulary.find(token_text);
  return id < 0 ? std::nullopt : std::optional(id);
}

std::optional<TokenId> Tokenizer::bos() const { return impl_->bos; }
std::optional<TokenId> Tokenizer::eos() const { return impl_->eos; }
bool Tokenizer::adds_bos() const { return impl_->adds_bos; }
bool Tokenizer::adds_eos() const { return impl_->adds_eos; }
std::span<const TokenId> Tokenizer::end_tokens() const { return impl_->end_tokens; }
std::string_view Tokenizer::chat_template() const { return impl_->chat_template; }
std::string_view Tokenizer::description() const { return impl_->description; }

void Tokenizer::append_piece(TokenId id, SpecialTokens special, bool& drop_space, std::string& out) const {
  impl_->append_piece(id, special, drop_space, out);
}
bool Tokenizer::drops_first_space() const { return impl_->prefix_space; }

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, SpecialTokens special, StreamStart start)
    : tokenizer_(&tokenizer),
      special_(special),
      drop_space_(start == StreamStart::new_text && tokenizer.drops_first_space()) {}

std::string StreamDecoder::push(TokenId id) {
  tokenizer_->append_piece(id, special_, drop_space_, pending_);
  const size_t whole = complete_utf8_prefix(pending_);
  std::string text = replace_invalid_utf8(std::string_view(pending_).substr(0, whole));
  pending_.erase(0, whole);
  return text;
}

std::string StreamDecoder::flush() {
  std::string text = replace_invalid_utf8(pending_);
  pending_.clear();
  drop_space_ = tokenizer_->drops_first_space();
  return text;
}

}  // namespace kinglet
