// The numbers that GGUF gives its metadata types. Internal to formats/.
#pragma once

#include <cstddef>
#include <cstdint>

#include "formats/gguf.h"

namespace kinglet::gguf {

inline constexpr uint32_t kMagic = 0x46554747;  // "GGUF"
inline constexpr uint32_t kWrittenVersion = 3;

// A split file's keys: which part this is (from 0), of how many, and how many tensors all of them hold.
inline constexpr const char* kSplitNo = "split.no";
inline constexpr const char* kSplitCount = "split.count";
inline constexpr const char* kSplitTensors = "split.tensors.count";

enum class Type : uint32_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12,
};
inline constexpr uint32_t kTypeCount = 13;

/// The alternatives of Value stand in GGUF's order except that an array, number 9, stands last.
constexpr Type type_of_alternative(size_t index) {
  constexpr Type kTypes[] = {Type::u8,      Type::i8,     Type::u16, Type::i16, Type::u32, Type::i32,  Type::f32,
                             Type::boolean, Type::string, Type::u64, Type::i64, Type::f64, Type::array};
  static_assert(sizeof(kTypes) / sizeof(kTypes[0]) == std::variant_size_v<Value>);
  return kTypes[index];
}

/// Calls visitor.template operator()<T>() with the C++ type of a scalar of `type`; not for arrays.
template <typename Visitor>
auto visit_type(Type type, Visitor&& visitor) {
  switch (type) {
    case Type::u8:
      return visitor.template operator()<uint8_t>();
    case Type::i8:
      return visitor.template operator()<int8_t>();
    case Type::u16:
      return visitor.template operator()<uint16_t>();
    case Type::i16:
      return visitor.template operator()<int16_t>();
    case Type::u32:
      return visitor.template operator()<uint32_t>();
    case Type::i32:
      return visitor.template operator()<int32_t>();
    case Type::f32:
      return visitor.template operator()<float>();
    case Type::boolean:
      return visitor.template operator()<bool>();
    case Type::u64:
      return visitor.template operator()<uint64_t>();
    case Type::i64:
      return visitor.template operator()<int64_t>();
    case Type::f64:
      return visitor.template operator()<double>();
    case Type::string:
    case Type::array:
      break;
  }
  return visitor.template operator()<std::string>();
}

}  // namespace kinglet::gguf
