// tokenizer.model: SentencePiece's ModelProto, read field by field (sentencepiece_model.proto).
#include <bit>
#include <cstring>

#include "host/error.h"
#include "tokenizer/loaders.h"
#include "tokenizer/piece_bpe.h"
#include "tokenizer/unigram.h"

namespace kinglet {
namespace {

/// One field of a protobuf message: a number (varint, or 32 or 64 bits as they lie) or bytes.
struct Field {
  uint32_t number = 0;
  uint64_t value = 0;
  std::string_view bytes;
  bool is_bytes = false;
};

/// Reads the fields of a message in order; every length is checked against what is left.
class MessageReader {
 public:
  explicit MessageReader(std::string_view message) : rest_(message) {}
  bool done() const { return rest_.empty(); }

  Result<Field> next() {
    KL_ASSIGN(const uint64_t tag, varint());
    Field field;
    if (tag >> 3 == 0 || tag >> 3 > 0x1FFFFFFF) return Status(Code::corrupt, "a field without a number");
    field.number = static_cast<uint32_t>(tag >> 3);
    switch (tag & 7) {
      case 0: {
        KL_ASSIGN(field.value, varint());
        return field;
      }
      case 1:
        return fixed(field, 8);
      case 2: {
        KL_ASSIGN(const uint64_t size, varint());
        if (size > rest_.size()) return Status(Code::corrupt, "a field ends past its message");
        field.bytes = rest_.substr(0, size);
        field.is_bytes = true;
        rest_.remove_prefix(size);
        return field;
      }
      case 5:
        return fixed(field, 4);
      default:
        return Status(Code::corrupt, "a field of an unknown type");
    }
  }

 private:
  Result<uint64_t> varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<uint8_t>(rest_[0]);
      rest_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    return Status(Code::corrupt, "a number is cut or too long");
  }
  Result<Field> fixed(Field field, size_t size) {
    if (rest_.size() < size) return Status(Code::corrupt, "a number is cut");
    for (size_t i = size; i-- > 0;) field.value = field.value << 8 | static_cast<uint8_t>(rest_[i]);
    rest_.remove_prefix(size);
    return field;
  }

  std::string_view rest_;
};

// An int32 is written as a varint of its sign-extended 64 bits.
int64_t signed_value(const Field& field) { return static_cast<int32_t>(field.value); }

Status read_piece(std::string_view message, Vocabulary& vocabulary) {
  std::string_view text;
  float score = 0;
  uint64_t type = 1;
  for (MessageReader reader(message); !reader.done();) {
    KL_ASSIGN(const Field field, reader.next());
    if (field.number == 1 && field.is_bytes) text = field.bytes;
    if (field.number == 2 && !field.is_bytes) score = std::bit_cast<float>(static_cast<uint32_t>(field.value));
    if (field.number == 3 && !field.is_bytes) type = field.value;
  }
  if (type < 1 || type > 6) return error(Code::corrupt, "piece {} is of type {}", vocabulary.size(), type);
  return vocabulary.add(text, score, static_cast<TokenKind>(type));
}

Status read_trainer(std::string_view message, SentencePieceSpec& spec) {
  for (MessageReader reader(message); !reader.done();) {
    KL_ASSIGN(const Field field, reader.next());
    switch (field.number) {
      case 3:
        spec.model_type = signed_value(field);
        break;
      case 24:
        spec.space_as_suffix = field.value != 0;
        break;
      case 35:
        spec.byte_fallback = field.value != 0;
        break;
      case 40:
        spec.unknown = signed_value(field);
        break;
      case 41:
        spec.bos = signed_value(field);
        break;
      case 42:
        spec.eos = signed_value(field);
        break;
      default:
        break;
    }
  }
  return ok_status();
}

Status read_normalizer(std::string_view message, SentencePieceSpec& spec) {
  for (MessageReader reader(message); !reader.done();) {
    KL_ASSIGN(const Field field, reader.next());
    switch (field.number) {
      case 2:
        spec.normalizer.charsmap = field.bytes;
        break;
      case 3:
        spec.normalizer.add_prefix = field.value != 0;
        break;
      case 4:
        spec.normalizer.remove_extra_spaces = field.value != 0;
        break;
      case 5:
        spec.normalizer.escape_spaces = field.value != 0;
        break;
      default:
        break;
    }
  }
  return ok_status();
}

std::optional<TokenId> checked_id(const Vocabulary& vocabulary, int64_t id) {
  return id >= 0 && id < vocabulary.size() ? std::optional(static_cast<TokenId>(id)) : std::nullopt;
}

Status build(SentencePieceSpec spec, Tokenizer::Impl& impl) {
  if (spec.space_as_suffix) return Status(Code::unsupported, "SentencePiece: spaces as suffixes");
  const TokenId unknown = checked_id(impl.vocabulary, spec.unknown).value_or(-1);
  if (spec.model_type == 1) {
    impl.model = make_unigram(impl.vocabulary, {.unknown = unknown, .byte_fallback = spec.byte_fallback});
    impl.description = "SentencePiece unigram";
  } else if (spec.model_type == 2) {
    PieceBpeOptions options;
    options.byte_fallback = spec.byte_fallback;
    options.unknown = unknown;
    impl.model = make_piece_bpe(impl.vocabulary, std::nullopt, options);
    impl.description = "SentencePiece BPE";
  } else {
    return error(Code::unsupported, "SentencePiece: model type {}", spec.model_type);
  }
  impl.prefix_space = impl.prefix_each = spec.normalizer.add_prefix;
  const bool plain = spec.normalizer.charsmap.empty() && !spec.normalizer.remove_extra_spaces;
  if (plain && spec.normalizer.escape_spaces) {  // Llama's, Mistral's, Gemma's: bytes stay as they are
    impl.normalizers.push_back(make_space_escape(spec.normalizer.add_prefix));
  } else {
    for (TokenId id = 0; id < impl.vocabulary.size(); ++id) {
      if (impl.vocabulary.kind(id) == TokenKind::user_defined)
        spec.normalizer.keep.emplace_back(impl.vocabulary.text(id));
    }
    KL_ASSIGN(auto normalizer, make_sentencepiece_normalizer(std::move(spec.normalizer)));
    impl.normalizers.push_back(std::move(normalizer));
  }
  impl.bos = checked_id(impl.vocabulary, spec.bos);
  impl.eos = checked_id(impl.vocabulary, spec.eos);
  impl.adds_bos = impl.bos.has_value();
  return ok_status();
}

Result<SentencePieceSpec> read_spec(std::string_view bytes) {
  SentencePieceSpec spec;
  for (MessageReader reader(bytes); !reader.done();) {
    KL_ASSIGN(const Field field, reader.next());
    if (field.number == 2 && field.is_bytes) KL_TRY(read_trainer(field.bytes, spec));
    if (field.number == 3 && field.is_bytes) KL_TRY(read_normalizer(field.bytes, spec));
  }
  return spec;
}

Status read_model(std::string_view bytes, Tokenizer::Impl& impl) {
  KL_ASSIGN(SentencePieceSpec spec, read_spec(bytes));
  for (MessageReader reader(bytes); !reader.done();) {
    KL_ASSIGN(const Field field, reader.next());
    if (field.number == 1 && field.is_bytes) KL_TRY(read_piece(field.bytes, impl.vocabulary));
  }
  if (impl.vocabulary.size() == 0) return Status(Code::corrupt, "no pieces in it");
  impl.spelling = Spelling::space_mark;
  impl.settle_kinds();
  impl.spell_pieces();
  KL_TRY(build(std::move(spec), impl));
  impl.match_specials();
  impl.find_end_tokens();
  impl.description += fmt::format(", {} tokens", impl.vocabulary.size());
  return ok_status();
}

}  // namespace

Result<SentencePieceSpec> read_sentencepiece_spec(std::string_view model_bytes) {
  auto spec = read_spec(model_bytes);
  if (!spec.ok()) return annotate("tokenizer.model", spec.status());
  return spec;
}

LoadedTokenizer load_sentencepiece(std::string_view model_bytes) {
  auto impl = std::make_unique<Tokenizer::Impl>();
  const Status status = read_model(model_bytes, *impl);
  if (!status.ok()) return annotate("tokenizer.model", status);
  return impl;
}

}  // namespace kinglet
