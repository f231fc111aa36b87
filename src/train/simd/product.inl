// f32 products over the vector V: register tiles of up to kTileRows rows and kPanelVectors vectors. Included inside an
// anonymous namespace, after kernels/simd/lanes.inl and transpose.inl. An element of C is one chain of fused multiply-adds over K, to which
// what was there is added at the end.

constexpr int kPanelVectors = tile_columns(kTileRows);
constexpr int64_t kPanelColumns = int64_t{kPanelVectors} * kLanes;

/// How the elements of A lie: rows of K values, or columns of M.
enum class Layout { rows, columns };

/// A tile of C at (a, b, c): R rows, C vectors of which the last holds `last` columns (kLanes: whole).
template <int R, int C, Layout L, bool kWhole>
inline void product_tile(const ProductBlock& p, const float* a, const float* b, float* c, int64_t last) {
  V sums[R][C];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int j = 0; j < C; ++j) sums[r][j] = zero();
  const float* row[R];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) row[r] = L == Layout::rows ? a + r * p.a_row : a + r;
  const int64_t step = L == Layout::rows ? 1 : p.a_column;
  for (int64_t k = 0; k < p.K; ++k, b += p.b_row, a += step) {
    V y[C];
#pragma GCC unroll 8
    for (int j = 0; j < C; ++j) y[j] = kWhole || j + 1 < C ? load(b + j * kLanes) : load_part(b + j * kLanes, last);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const V x = set1(L == Layout::rows ? row[r][k] : a[r]);
#pragma GCC unroll 8
      for (int j = 0; j < C; ++j) sums[r][j] = fma(x, y[j], sums[r][j]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int j = 0; j < C; ++j) {
      float* out = c + r * p.c_row + j * kLanes;
      const int64_t m = kWhole || j + 1 < C ? int64_t{kLanes} : last;
      store_lanes(out, m, p.add ? sums[r][j] + load_lanes(out, m) : sums[r][j]);
    }
}

template <int R, int C, Layout L>
inline void product_columns(const ProductBlock& p, const float* a, const float* b, float* c, int64_t last) {
  if (last == kLanes) product_tile<R, C, L, true>(p, a, b, c, last);
  else product_tile<R, C, L, false>(p, a, b, c, last);
}

/// The last rows, fewer than kTileRows.
template <int R, int C, Layout L>
inline void product_rest(const ProductBlock& p, int64_t rows, const float* a, const float* b, float* c, int64_t last) {
  if constexpr (R > 0) {
    if (rows == R) product_columns<R, C, L>(p, a, b, c, last);
    else product_rest<R - 1, C, L>(p, rows, a, b, c, last);
  }
}

template <int C, Layout L>
void product_panel(const ProductBlock& p, const float* b, float* c, int64_t last) {
  const float* a = p.a;
  int64_t m = 0;
  for (; m + kTileRows <= p.M; m += kTileRows, a += kTileRows * p.a_row, c += kTileRows * p.c_row)
    product_columns<kTileRows, C, L>(p, a, b, c, last);
  product_rest<kTileRows - 1, C, L>(p, p.M - m, a, b, c, last);
}

/// A panel of fewer columns than kPanelColumns.
template <int C, Layout L>
void product_last_panel(const ProductBlock& p, int64_t vectors, const float* b, float* c, int64_t last) {
  if constexpr (C > 0) {
    if (vectors == C) product_panel<C, L>(p, b, c, last);
    else product_last_panel<C - 1, L>(p, vectors, b, c, last);
  }
}

template <Layout L>
void product_panels(const ProductBlock& p) {
  const float* b = p.b;
  for (int64_t n = 0; n < p.N; n += kPanelColumns, b += p.b_panel) {
    const int64_t columns = p.N - n < kPanelColumns ? p.N - n : kPanelColumns;
    const int64_t vectors = (columns + kLanes - 1) / kLanes;
    product_last_panel<kPanelVectors, L>(p, vectors, b, p.c + n, columns - (vectors - 1) * kLanes);
  }
}

void product(const ProductBlock& p) {
  if (p.a_column == 1) product_panels<Layout::rows>(p);
  else product_panels<Layout::columns>(p);
}

void transpose_rows(const float* x, int64_t x_row, int64_t rows, int64_t columns, float* out, int64_t out_row) {
  int64_t i = 0;
  for (; i + kTransposed <= rows; i += kTransposed) {
    int64_t j = 0;
    for (; j + kTransposed <= columns; j += kTransposed)
      transpose(x + i * x_row + j, x_row, out + j * out_row + i, out_row);
    for (; j < columns; ++j)
      for (int64_t r = i; r < i + kTransposed; ++r) out[j * out_row + r] = x[r * x_row + j];
  }
  for (; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) out[j * out_row + i] = x[i * x_row + j];
}

void fill_products(GradientKernels& table) {
  table.panel_columns = kPanelColumns;
  table.product = product;
  table.transpose = transpose_rows;
}
