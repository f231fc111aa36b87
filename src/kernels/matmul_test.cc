// Every row's weight kernels: packing, quantized activations, matrix products of every type in odd shapes.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "base/half.h"
#include "kernels/act_block.h"
#include "kernels/testing.h"

namespace kinglet {
namespace {

std::vector<DType> weight_types() {
  std::vector<DType> out;
  for (const DTypeInfo& t : kDTypes)
    if (dequantize_row(t.dtype) != nullptr) out.push_back(t.dtype);
  return out;
}

using Buffer = Aligned<std::byte>;

/// A weight (N, K): canonical rows, and packed for one row of the table.
class Weight {
 public:
  Weight(DType type, int64_t N, int64_t K, uint32_t seed)
      : type_(type),
        N_(N),
        K_(K),
        row_bytes_(*row_bytes(type, static_cast<uint64_t>(K))),
        rows_(static_cast<size_t>(N) * row_bytes_) {
    const std::vector<float> values = normal_values(N * K, seed);
    for (int64_t n = 0; n < N; ++n)
      quantize_row(type)(values.data() + n * K, K, rows_.data() + static_cast<size_t>(n) * row_bytes_);
  }
  void pack(const KernelTable& table) {
    panels_ = Buffer(panel_bytes() * static_cast<size_t>(panels()));
    for (int64_t p = 0; p < panels(); ++p) {
      const int64_t n = std::min<int64_t>(kPanelRows, N_ - p * kPanelRows);
      kernels(table).pack(rows_.data() + static_cast<size_t>(p * kPanelRows) * row_bytes_, row_bytes_,
                          static_cast<int>(n), K_, panels_.data() + static_cast<size_t>(p) * panel_bytes());
    }
  }
  const WeightKernels& kernels(const KernelTable& table) const { return table.weights[static_cast<size_t>(type_)]; }
  int64_t panels() const { return (N_ + kPanelRows - 1) / kPanelRows; }
  size_t panel_bytes() const { return kPanelRows * row_bytes_; }
  size_t bytes_of_row() const { return row_bytes_; }
  const std::vector<std::byte>& rows() const { return rows_; }
  std::byte* packed() { return panels_.data(); }
  int64_t N() const { return N_; }
  int64_t K() const { return K_; }
  std::vector<float> dequantized() const {
    std::vector<float> out(static_cast<size_t>(N_ * K_));
    for (int64_t n = 0; n < N_; ++n)
      dequantize_row(type_)(rows_.data() + static_cast<size_t>(n) * row_bytes_, K_, out.data() + n * K_);
    return out;
  }

 private:
  DType type_;
  int64_t N_, K_;
  size_t row_bytes_;
  std::vector<std::byte> rows_;
  Buffer panels_{0};
};

/// T rows of activations in the form that a weight's kernel wants, and the values that this form stands for.
struct Activations {
  Activations(const KernelTable& table, ActKind kind, const std::vector<float>& x, int64_t T, int64_t K)
      : stride(kind == ActKind::f32 ? static_cast<size_t>(K) * sizeof(float) : table.act_row_bytes(K)),
        data(stride * static_cast<size_t>(T)),
        values(x.begin(), x.begin() + T * K) {
    if (kind == ActKind::f32) {
      std::memcpy(data.data(), x.data(), values.size() * sizeof(float));
      return;
    }
    table.convert(kind)(x.data(), K, T, K, data.data(), stride);
    if (kind == ActKind::bf16) {
      for (double& v : values) v = bf16_to_f32(f32_to_bf16(static_cast<float>(v)));
      return;
    }
    for (int64_t i = 0; i < T * K; ++i) {
      const auto* row = reinterpret_cast<const ActBlock*>(data.data() + static_cast<size_t>(i / K) * stride);
      const ActBlock& block = row[i % K / kActBlock];
      values[static_cast<size_t>(i)] = static_cast<double>(block.scale) * block.q[i % kActBlock];
    }
  }
  size_t stride;
  Buffer data;
  std::vector<double> values;
};

/// out (T, N) for panels [begin, end) with everything else as given; columns outside keep `before`.
std::vector<float> multiply(const KernelTable& table, Weight& w, Activations& acts, int64_t T, int64_t begin,
                            int64_t end, const float* bias, Epilogue epilogue, float before) {
  const int64_t stride = w.N() + 3;
  std::vector<float> out(static_cast<size_t>(T * stride), before);
  const WeightKernels& k = w.kernels(table);
  Buffer scratch(k.matmul_scratch_bytes == nullptr ? 0 : k.matmul_scratch_bytes(T, w.K()));
  k.matmul({w.packed(), w.panel_bytes(), acts.data.data(), acts.stride, out.data(), stride, bias, T, w.K(), w.N(),
            begin, end, epilogue, scratch.size() == 0 ? nullptr : scratch.data()});
  return out;
}

/// Bound on the error of one output, from unit roundoff u: every product of a block passes at most the roundings of its
/// block (scale products, conversion: 6) and of the running sum (one for each block, two with minimums, or for each value),
/// so |error| <= (steps) u sum |w||x|, with the magnitudes of the parts where a minimum is subtracted.
double tolerance(double magnitude, int64_t K) { return (static_cast<double>(K) + 8) * 0x1p-24 * magnitude; }

/// Magnitude of the parts that cancel: a type with minimums computes scale u - min where u scale can exceed |w|.
double parts(DType type) { return type == DType::f32 || type == DType::f16 || type == DType::bf16 ? 1.0 : 4.0; }

std::string describe(const KernelTable& table, DType type, int64_t T, int64_t N, int64_t K) {
  return std::string(table.name) + " " + std::string(name(type)) + " T=" + std::to_string(T) +
         " N=" + std::to_string(N) + " K=" + std::to_string(K);
}

void check_shape(const KernelTable& table, DType type, int64_t T, int64_t N, int64_t K) {
  SCOPED_TRACE(describe(table, type, T, N, K));
  Weight w(type, N, K, static_cast<uint32_t>(N * 31 + K));
  w.pack(table);
  const std::vector<float> x = normal_values(T * K, static_cast<uint32_t>(T + 7 * K));
  const std::vector<float> bias = normal_values(N, 5);
  Activations acts(table, w.kernels(table).act, x, T, K);
  const std::vector<float> weights = w.dequantized();
  const bool with_bias = (T + N) % 2 == 0;
  const Epilogue epilogue = T % 3 == 0 ? Epilogue::add : Epilogue::store;
  const float before = 0.25f;
  const std::vector<float> out =
      multiply(table, w, acts, T, 0, w.panels(), with_bias ? bias.data() : nullptr, epilogue, before);
  const int64_t stride = N + 3;
  for (int64_t t = 0; t < T; ++t) {
    for (int64_t n = 0; n < N; ++n) {
      double sum = 0, magnitude = 0;
      for (int64_t k = 0; k < K; ++k) {
        const double product =
            static_cast<double>(weights[static_cast<size_t>(n * K + k)]) * acts.values[static_cast<size_t>(t * K + k)];
        sum += product;
        magnitude += std::fabs(product);
      }
      if (with_bias) sum += bias[static_cast<size_t>(n)];
      if (epilogue == Epilogue::add) sum += before;
      const double limit = tolerance(parts(type) * magnitude + 4, K);
      ASSERT_NEAR(out[static_cast<size_t>(t * stride + n)], sum, limit) << "t " << t << " n " << n;
    }
    for (int64_t n = N; n < stride; ++n)
      ASSERT_EQ(out[static_cast<size_t>(t * stride + n)], before) << "beyond N, t " << t;
  }
}

TEST(Matmul, NamesTheRowsItSkips) {
  for (const std::string& name : missing_rows())
    std::printf("[  SKIPPED ] row %s: not on this processor\n", name.c_str());
}

TEST(Matmul, EveryRowAndTypeInOddShapes) {
  for (const KernelTable* table : available_rows()) {
    for (DType type : weight_types()) {
      ASSERT_NE(table->weights[static_cast<size_t>(type)].matmul, nullptr) << table->name << " " << name(type);
      const int64_t block = info(type).block_values;
      for (int64_t T : {1, 2, 3, 4, 5, 7, 8, 13, 33, 130})
        check_shape(*table, type, T, 48, std::max<int64_t>(block, 64));
      for (int64_t N : {1, 15, 16, 17, 48, 100}) {
        check_shape(*table, type, 1, N, std::max<int64_t>(block, 64));
        check_shape(*table, type, 7, N, std::max<int64_t>(block, 64));
      }
      check_shape(*table, type, 1, 17, block == 1 ? 1027 : 1024 + block);
      check_shape(*table, type, 9, 40, block == 1 ? 1027 : 1024 + block);
      if (block <= 32) check_shape(*table, type, 6, 20, 160);
      if (block == 1) check_shape(*table, type, 5, 20, 24);
    }
  }
}

TEST(Matmul, BitsDoNotDependOnTokensOrPanelRange) {
  constexpr int64_t T = 262, N = 150;  // more than a block of tokens and one of panels
  for (const KernelTable* table : available_rows()) {
    for (DType type : weight_types()) {
      SCOPED_TRACE(std::string(table->name) + " " + std::string(name(type)));
      const int64_t K = info(type).block_values == 1 ? 531 : 768;
      Weight w(type, N, K, 3);
      w.pack(*table);
      const std::vector<float> x = normal_values(T * K, 4);
      Activations acts(*table, w.kernels(*table).act, x, T, K);
      const std::vector<float> whole = multiply(*table, w, acts, T, 0, w.panels(), nullptr, Epilogue::store, 0);
      for (int64_t few : {1, 2, 3, 4, 5, 6, 7, 11, 64}) {
        const std::vector<float> part = multiply(*table, w, acts, few, 0, w.panels(), nullptr, Epilogue::store, 0);
        ASSERT_EQ(std::memcmp(part.data(), whole.data(), part.size() * sizeof(float)), 0) << few << " tokens";
      }
      std::vector<float> pieces(whole.size());
      for (int64_t p = 0; p < w.panels(); p += 3) {
        const std::vector<float> part =
            multiply(*table, w, acts, T, p, std::min(p + 3, w.panels()), nullptr, Epilogue::store, 0);
        for (size_t i = 0; i < part.size(); ++i) pieces[i] += part[i];
      }
      for (size_t i = 0; i < pieces.size(); ++i) ASSERT_EQ(pieces[i], whole[i]) << "in pieces, value " << i;
    }
  }
}

TEST(Matmul, PackedPanelsUnpackToTheSameBytes) {
  std::mt19937 random(1);
  for (const KernelTable* table : available_rows()) {
    for (DType type : weight_types()) {
      for (int n_rows : {16, 5, 1}) {
        const int64_t K = info(type).block_values == 1 ? 107 : 512;
        const size_t bytes = *row_bytes(type, static_cast<uint64_t>(K));
        std::vector<std::byte> source(bytes * static_cast<size_t>(n_rows)), back(source.size());
        for (std::byte& b : source) b = static_cast<std::byte>(random());
        std::vector<std::byte> panel(bytes * kPanelRows, std::byte{0xee});
        const WeightKernels& k = table->weights[static_cast<size_t>(type)];
        k.pack(source.data(), bytes, n_rows, K, panel.data());
        k.unpack(panel.data(), K, n_rows, back.data(), bytes);
        EXPECT_EQ(source, back) << table->name << " " << name(type) << " " << n_rows << " rows";
      }
    }
  }
}

TEST(QuantizeRows, EveryRowWritesTheSameBlocks) {
  constexpr int64_t T = 3, K = 256, kStride = 300;
  std::vector<float> x = normal_values(T * kStride, 9);
  for (int64_t k = 0; k < 32; ++k) x[static_cast<size_t>(k)] = 0;         // a block of zeros
  for (int64_t k = 32; k < 64; ++k) x[static_cast<size_t>(k)] *= 1e-30f;  // and a tiny one
  std::vector<std::vector<std::byte>> results;
  for (const KernelTable* table : available_rows()) {
    const size_t stride = table->act_row_bytes(K);
    EXPECT_EQ(stride % 64, 0u);
    Buffer out(stride * T);
    table->quantize_rows(x.data(), kStride, T, K, out.data(), stride);
    results.emplace_back(out.data(), out.data() + out.size());
    EXPECT_EQ(results.back(), results.front()) << table->name;
    const auto* blocks = reinterpret_cast<const ActBlock*>(results.back().data());
    EXPECT_EQ(blocks[0].scale, 0.0f);
    for (int i = 0; i < kActBlock; ++i) {
      EXPECT_EQ(blocks[0].q[i], 0);
      EXPECT_NEAR(blocks[2].scale * static_cast<float>(blocks[2].q[i]), x[static_cast<size_t>(64 + i)],
                  0.501 * blocks[2].scale);
    }
  }
}

}  // namespace
}  // namespace kinglet
