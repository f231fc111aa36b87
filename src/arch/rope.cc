#include "arch/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "host/error.h"

namespace kinglet {
namespace {

using Need = ConfigIo::Need;

// Where a config.json keeps its rope: newer files have one object, older ones two places.
struct HfRopeKeys {
  std::string theta, scaling;
};
HfRopeKeys hf_rope_keys(const ConfigIo& io, const Hyper& h) {
  if (!io.reading() && !h.local_layers.empty())
    return {"rope_parameters.full_attention.rope_theta", "rope_parameters.full_attention"};
  if (io.has({"", "rope_parameters.full_attention"}))
    return {"rope_parameters.full_attention.rope_theta", "rope_parameters.full_attention"};
  if (io.has({"", "rope_parameters"}) || !io.reading()) return {"rope_parameters.rope_theta", "rope_parameters"};
  return {"rope_theta", "rope_scaling"};
}

const char* kind_name(RopeScaling::Kind kind, bool gguf) {
  switch (kind) {
    case RopeScaling::Kind::none:
      return gguf ? "none" : "default";
    case RopeScaling::Kind::linear:
      return "linear";
    case RopeScaling::Kind::llama3:
      return "llama3";
    case RopeScaling::Kind::longrope:
      return "longrope";
  }
  return "default";
}

void parse_kind(ConfigIo& io, const std::string& text, RopeScaling& scaling) {
  using Kind = RopeScaling::Kind;
  if (text.empty() || text == "none" || text == "default") scaling.kind = Kind::none;
  else if (text == "linear") scaling.kind = Kind::linear;
  else if (text == "llama3") scaling.kind = Kind::llama3;
  else if (text == "longrope" || text == "su") scaling.kind = Kind::longrope;
  else
    io.fail(error(Code::unsupported, "rope scaling '{}' is not supported (none, linear, llama3, longrope are)", text));
}

// The published scaling whose divisors these are: a GGUF holds only them, a config.json only what they come from. Every Llama
// has low and high frequency factors of 1 and 4; the largest divisor is the factor.
void find_llama3_scaling(ConfigIo& io, Hyper& h) {
  RopeScaling& s = h.rope_scaling;
  if (s.freq_factor.empty())
    return io.fail(Status(Code::corrupt, "llama3 rope scaling without its parameters or divisors"));
  RopeScaling candidate{.kind = RopeScaling::Kind::llama3, .low_freq_factor = 1, .high_freq_factor = 4};
  candidate.factor = static_cast<double>(*std::max_element(s.freq_factor.begin(), s.freq_factor.end()));
  for (candidate.original_context = 16; candidate.original_context <= int64_t{1} << 24;
       candidate.original_context *= 2) {
    const std::vector<float> divisors = llama3_divisors(h.rope_base, h.rotary(), candidate);
    const bool same = std::equal(divisors.begin(), divisors.end(), s.freq_factor.begin(), s.freq_factor.end(),
                                 [](float a, float b) { return std::abs(a - b) <= 1e-4f * std::abs(b); });
    if (!same) continue;
    candidate.freq_factor = std::move(s.freq_factor);
    s = std::move(candidate);
    return;
  }
  io.fail(Status(Code::unsupported, "rope_freqs.weight holds divisors that no llama3 rope scaling gives"));
}

void scaling_config_hf(ConfigIo& io, Hyper& h, const std::string& at) {
  RopeScaling& s = h.rope_scaling;
  std::string kind = kind_name(s.kind, false);
  const std::string type_key = at + (io.has({"", at + ".rope_type"}) || !io.reading() ? ".rope_type" : ".type");
  io.text(kind, {"", type_key});
  if (io.reading()) parse_kind(io, kind, s);
  switch (s.kind) {
    case RopeScaling::Kind::none:
      break;
    case RopeScaling::Kind::linear:
      io.real(s.factor, {"", at + ".factor"});
      break;
    case RopeScaling::Kind::llama3:
      if (!io.reading() && s.original_context <= 0) find_llama3_scaling(io, h);
      io.real(s.factor, {"", at + ".factor"});
      io.real(s.low_freq_factor, {"", at + ".low_freq_factor"});
      io.real(s.high_freq_factor, {"", at + ".high_freq_factor"});
      io.integer(s.original_context, {"", at + ".original_max_position_embeddings"});
      break;
    case RopeScaling::Kind::longrope:
      io.reals(s.long_factor, {"", at + ".long_factor"}, Need::required);
      io.reals(s.short_factor, {"", at + ".short_factor"}, Need::required);
      io.integer(s.original_context, {"", "original_max_position_embeddings"}, Need::optional);
      io.integer(s.original_context, {"", at + ".original_max_position_embeddings"}, Need::optional);
      if (io.has({"", at + ".attention_factor"})) io.real(s.attention_factor, {"", at + ".attention_factor"});
      break;
  }
}

double longrope_magnitude(int64_t context, const RopeScaling& s) {
  if (s.attention_factor > 0) return s.attention_factor;
  const double ratio = static_cast<double>(context) / static_cast<double>(s.original_context);
  if (ratio <= 1.0) return 1.0;
  return std::sqrt(1.0 + std::log(ratio) / std::log(static_cast<double>(s.original_context)));
}

// llama.cpp's GGUFs carry llama3 and longrope as divisor tensors; the keys alone would say "none".
void scaling_config_gguf(ConfigIo& io, Hyper& h) {
  RopeScaling& s = h.rope_scaling;
  std::string kind = kind_name(s.kind, true);
  const bool writes_kind = s.kind == RopeScaling::Kind::linear || s.kind == RopeScaling::Kind::longrope;
  if (io.reading() || writes_kind) io.text(kind, {"rope.scaling.type", ""});
  if (io.reading()) parse_kind(io, kind, s);
  if (io.reading() || s.kind == RopeScaling::Kind::linear)
    io.real(s.factor, {"rope.scaling.factor", ""}, Need::optional);
  if (io.reading() || s.kind == RopeScaling::Kind::longrope) {
    io.integer(s.original_context, {"rope.scaling.original_context_length", ""}, Need::optional);
    double magnitude = io.reading() ? s.attention_factor : longrope_magnitude(h.context, s);
    io.real(magnitude, {"rope.scaling.attn_factor", ""}, Need::optional);
    if (io.reading()) s.attention_factor = magnitude;
  }
  std::vector<float> divisors = s.freq_factor;
  if (!io.reading() && s.kind == RopeScaling::Kind::llama3 && divisors.empty())
    divisors = llama3_divisors(h.rope_base, h.rotary(), s);
  io.factors(divisors, "rope_freqs.weight");
  if (io.reading()) s.freq_factor = std::move(divisors);
  io.factors(s.long_factor, "rope_factors_long.weight");
  io.factors(s.short_factor, "rope_factors_short.weight");
  if (!io.reading()) return;
  if (!s.long_factor.empty() && !s.short_factor.empty()) s.kind = RopeScaling::Kind::longrope;
  else if (!s.freq_factor.empty()) s.kind = RopeScaling::Kind::llama3;
}

void check_factors(ConfigIo& io, const Hyper& h) {
  const RopeScaling& s = h.rope_scaling;
  const size_t want = static_cast<size_t>(h.rotary() / 2);
  const auto bad = [&](const std::vector<float>& list, bool needed) {
    if (list.empty()) return needed;
    if (list.size() != want) return true;
    for (float f : list)
      if (!(f > 0) || !std::isfinite(f)) return true;
    return false;
  };
  const bool longrope = s.kind == RopeScaling::Kind::longrope;
  if (bad(s.long_factor, longrope) || bad(s.short_factor, longrope) || bad(s.freq_factor, false))
    io.fail(error(Code::corrupt, "rope factors must be {} positive numbers, half the rotary width", want));
  if (longrope && s.original_context <= 0) io.fail(error(Code::corrupt, "longrope needs the original context length"));
  const bool llama3_keys = s.kind == RopeScaling::Kind::llama3 && s.freq_factor.empty();
  if (llama3_keys && (s.original_context <= 0 || s.high_freq_factor <= s.low_freq_factor))
    io.fail(error(Code::corrupt,
                  "llama3 rope scaling needs an original context and high_freq_factor above low_freq_factor"));
  if (!(s.factor > 0)) io.fail(error(Code::corrupt, "rope scaling factor must be positive"));
}

}  // namespace

void rope_config(ConfigIo& io, Hyper& h) {
  if (io.is_gguf()) {
    io.real(h.rope_base, {"rope.freq_base", ""}, Need::optional);
    int64_t rotary = h.rotary();
    io.integer(rotary, {"rope.dimension_count", ""}, Need::optional);
    if (io.reading() && h.D > 0) h.rotary_fraction = static_cast<double>(rotary) / static_cast<double>(h.D);
    scaling_config_gguf(io, h);
  } else {
    const HfRopeKeys keys = hf_rope_keys(io, h);
    io.real(h.rope_base, {"", keys.theta}, Need::optional);
    const std::string nested = keys.scaling + ".partial_rotary_factor";
    io.real(h.rotary_fraction, {"", io.has({"", nested}) ? std::string_view(nested) : "partial_rotary_factor"},
            Need::optional);
    if (!io.reading() || io.has({"", keys.scaling})) scaling_config_hf(io, h, keys.scaling);
  }
  if (!io.reading()) return;
  if (!(h.rope_base > 1)) io.fail(error(Code::corrupt, "rope base must be above 1"));
  if (h.rotary() <= 0 || h.rotary() > h.D || h.rotary() % 2 != 0)
    return io.fail(error(Code::corrupt, "rotary width {} does not fit head width {}", h.rotary(), h.D));
  check_factors(io, h);
}

std::vector<float> llama3_divisors(double base, int64_t rotary, const RopeScaling& s) {
  std::vector<float> out(static_cast<size_t>(rotary / 2));
  const double original = static_cast<double>(s.original_context);
  const double low_wavelength = original / s.low_freq_factor, high_wavelength = original / s.high_freq_factor;
  for (size_t i = 0; i < out.size(); ++i) {
    const double wavelength =
        2 * std::numbers::pi * std::pow(base, 2.0 * static_cast<double>(i) / static_cast<double>(rotary));
    if (wavelength < high_wavelength) {
      out[i] = 1.0f;
    } else if (wavelength > low_wavelength) {
      out[i] = static_cast<float>(s.factor);
    } else {
      const double smooth = (original / wavelength - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
      out[i] = static_cast<float>(1.0 / ((1.0 - smooth) / s.factor + smooth));
    }
  }
  return out;
}

RopeFrequencies rope_frequencies(double base, int64_t rotary, int64_t context, const RopeScaling& s) {
  RopeFrequencies out;
  const size_t half = static_cast<size_t>(rotary / 2);
  const auto divided_by = [&](const std::vector<float>& factors, double factor) {
    std::vector<float> freq(half);
    for (size_t i = 0; i < half; ++i) {
      const double plain = std::pow(base, -2.0 * static_cast<double>(i) / static_cast<double>(rotary));
      freq[i] = static_cast<float>(plain / (factors.empty() ? factor : static_cast<double>(factors[i])));
    }
    return freq;
  };
  switch (s.kind) {
    case RopeScaling::Kind::none:
      out.freq = divided_by({}, 1.0);
      break;
    case RopeScaling::Kind::linear:
      out.freq = divided_by({}, s.factor);
      break;
    case RopeScaling::Kind::llama3:
      out.freq = divided_by(s.freq_factor.empty() ? llama3_divisors(base, rotary, s) : s.freq_factor, 1.0);
      break;
    case RopeScaling::Kind::longrope:
      out.freq = divided_by(s.short_factor, 1.0);
      out.long_freq = divided_by(s.long_factor, 1.0);
      out.magnitude = static_cast<float>(longrope_magnitude(context, s));
      break;
  }
  return out;
}

}  // namespace kinglet
