// Representing a matrix: from a plan to launches. Host code.
#pragma once
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/format_select.cuh"

// A matrix as an operand of a native product: see native_sizes.h. Device memory.
struct encoded_matrix {
  native_operand native;
  uint8_t *codes;
  uint8_t *scales;  // of blocks
  float *numbers;   // of the tensor or of rows
};

namespace {

void copy(struct device *device, void *to, const void *from, size_t bytes);
void clear(struct device *device, void *memory, size_t bytes);

// The workspace of one call.
struct format_scratch {
  uint32_t *row_absmax;
  float *row_squares;
  double *row_sums;
  row_choice *choices;
  float *unit_scales;
  uint32_t *signs;
  struct tensor_statistics *statistics;
  tensor_choice *chosen;
  select_state *state;
  counter *counts;
  uint32_t *ties;
  float *staged;
  void *matrices[4];
  uint8_t *native_scales[2];  // of the operands of a native product
  float *native_numbers[2];
  float *product_numbers;
  float *sums;
};
inline bool take_scratch(struct device *device, const struct weight_description *description, int64_t rows,
                         int64_t window, format_scratch *scratch_of, const struct native_layer *native = nullptr) {
  static_assert(sizeof(row_choice) == 16 && sizeof(tensor_choice) == 16 && sizeof(select_state) <= 64, "sizes.c");
  cuda_format_scratch s = cuda_format_scratch_of(description, native, rows, window);
  char *at = scratch(device, s.total, "a linear layer with a format");
  if (!at) return false;
  *scratch_of = {(uint32_t *)(at + s.row_absmax),
                 (float *)(at + s.row_squares),
                 (double *)(at + s.row_sums),
                 (row_choice *)(at + s.choices),
                 (float *)(at + s.unit_scales),
                 (uint32_t *)(at + s.signs),
                 (struct tensor_statistics *)(at + s.statistics),
                 (tensor_choice *)(at + s.chosen),
                 (select_state *)(at + s.state),
                 (counter *)(at + s.counts),
                 (uint32_t *)(at + s.ties),
                 (float *)(at + s.staged),
                 {at + s.matrices[0], at + s.matrices[1], at + s.matrices[2], at + s.matrices[3]},
                 {(uint8_t *)(at + s.native_scales[0]), (uint8_t *)(at + s.native_scales[1])},
                 {(float *)(at + s.native_numbers[0]), (float *)(at + s.native_numbers[1])},
                 (float *)(at + s.product_numbers),
                 (float *)(at + s.sums)};
  return true;
}

// One matrix to represent.
struct operand_call {
  const struct quantizer *quantizer;
  const struct representation *representation;
  const float *tables;  // device memory
  int64_t rows;
  enum dtype from_dtype, to_dtype;
  const void *from;
  void *to;                // may be NULL when it is encoded
  encoded_matrix encoded;  // codes NULL: it is not
  uint8_t *mask;           // or NULL
  const uint32_t *signs;   // of its transform, as bits, or NULL
  bool back;               // transformed back afterwards ...
  bool back_rounds;        // ... of what has been rounded to bfloat16
  struct row_windows windows;
  struct random_place place;
  bool pruned;                           // to the density of the format's numbers; otherwise all is kept
  bool all;                              // that density is 1: what a selection leaves out
  const tensor_choice *chosen;           // of a threshold over all weights, NULL: none
  int64_t first_row;                     // of this matrix in what was chosen from
  float *learned;                        // a learned scale
  struct tensor_statistics *statistics;  // where those of the tensor are kept, NULL: nowhere
};

inline float hadamard_scale(int block) { return 1 / sqrtf((float)block); }

inline bool in_words(int64_t columns, const void *a, const void *b) {
  return columns % OCTET == 0 && (uintptr_t)a % 16 == 0 && (uintptr_t)b % 16 == 0;
}

inline int64_t sign_words(int64_t columns) { return (columns + 127) / 128 * 4; }

inline device_pointer<const format_numbers> format_numbers_of(const struct device *device) {
  return view((const format_numbers *)&device->numbers->format, 1);
}

inline void run_signs(struct device *device, const struct quantizer *q, uint64_t seed, uint64_t tensor,
                      uint32_t *signs) {
  int64_t blocks = (q->columns + 127) / 128;
  run(device, hadamard_signs_kernel, {"hadamard_signs", element_blocks(blocks), ELEMENT_THREADS, 0}, blocks,
      q->hadamard_signed, seed, tensor, format_numbers_of(device), view(signs, 4 * blocks));
}

inline void run_transform(struct device *device, transform_pass pass, enum dtype from_dtype, const void *from,
                          enum dtype to_dtype, void *to, const uint8_t *mask, const uint32_t *signs) {
  int64_t count = pass.rows * pass.columns, chunks = ceil_div(pass.columns, CHUNK);
  pass.scale = hadamard_scale(pass.block);
  pass.words = in_words(pass.columns, from, to);
  launch_shape shape = {"transform", (unsigned)ceil_div(pass.rows * chunks, FORMAT_WARPS), FORMAT_THREADS, 0};
  with_dtype(from_dtype, [&](auto source) {
    with_dtype(to_dtype, [&](auto target) {
      using From = decltype(source);
      using To = decltype(target);
      if constexpr (sizeof(From) <= sizeof(To))
        run(device, transform_kernel<From, To>, shape, pass, view((const From *)from, count), view((To *)to, count),
            view(mask, mask ? pass.rows * mask_stride(pass.columns) : 0), view(signs, sign_words(pass.columns)));
    });
  });
}

template <class T>
void run_transpose_as(struct device *device, int64_t rows, int64_t columns, const void *from, void *to) {
  int64_t tiles = ceil_div(rows, TRANSPOSE_TILE) * ceil_div(columns, TRANSPOSE_TILE);
  run(device, transpose_kernel<T>, {"transpose", (unsigned)tiles, TRANSPOSE_TILE * TRANSPOSE_ROWS, 0}, rows, columns,
      view((const T *)from, rows * columns), view((T *)to, rows * columns));
}

inline void run_transpose_codes(struct device *device, int64_t rows, int64_t columns, const uint8_t *from,
                                uint8_t *to) {
  run_transpose_as<uint8_t>(device, rows, columns, from, to);
}

inline void run_transpose(struct device *device, int64_t rows, int64_t columns, enum dtype dtype, const void *from,
                          void *to) {
  if (dtype == DTYPE_BFLOAT16)
    run_transpose_as<uint16_t>(device, rows, columns, from, to);
  else
    run_transpose_as<uint32_t>(device, rows, columns, from, to);
}

// ---- choosing the largest ----
inline launch_shape select_shape(const char *name, int64_t count) {
  int64_t blocks = ceil_div(count, SELECT_THREADS * 16);
  return {name, (unsigned)(blocks < 1 ? 1 : blocks < 1024 ? blocks : 1024), SELECT_THREADS, 0};
}

// An array that is chosen from.
struct select_span {
  const void *data;
  int64_t count;
};
// The largest of all spans together, the share of them that the density says: what scratch->state then says.
inline void run_select(struct device *device, enum dtype dtype, const select_span *spans, int count,
                       const format_scratch *s) {
  int64_t total = 0;
  for (int i = 0; i < count; i++) total += spans[i].count;
  auto counts = view(s->counts, SELECT_BINS);
  auto state = view(s->state, 1);
  auto ties = view(s->ties, TIE_BLOCKS);
  launch_shape one = {"select", 1, SELECT_THREADS, 0};
  run(device, select_begin_kernel, one, total, format_numbers_of(device), counts, state);
  with_dtype(dtype, [&](auto element) {
    using T = decltype(element);
    for (int pass = 0; pass < SELECT_PASSES; pass++) {
      for (int i = 0; i < count; i++)
        run(device, select_count_kernel<T>, select_shape("select_count", spans[i].count), spans[i].count, pass,
            view((const T *)spans[i].data, spans[i].count), state, counts);
      run(device, select_found_kernel, one, pass, counts, state);
    }
    for (int i = 0; i < count; i++) {
      int64_t blocks = ceil_div(spans[i].count, tie_part(spans[i].count));
      auto data = view((const T *)spans[i].data, spans[i].count);
      run(device, tie_count_kernel<T>, {"tie_count", (unsigned)blocks, SELECT_THREADS, 0}, spans[i].count, data, state,
          ties);
      run(device, tie_place_kernel<T>, {"tie_place", 1, SELECT_THREADS, 0}, i, spans[i].count, (int)blocks, data, ties,
          state);
    }
  });
}

inline void run_choice(struct device *device, int span, const format_scratch *s, tensor_choice *out) {
  run(device, choice_kernel, {"choice", 1, WARP_THREADS, 0}, span, view(s->state, 1), view(out, 1));
}

// ---- representing ----
inline grid_tables tables_of(const struct grid *grid, const float *tables) {
  cuda_table_sizes sizes = cuda_table_sizes_of(grid);
  auto part = [&tables](int64_t count) {
    const float *at = count ? tables : nullptr;
    tables += count;
    return view(at, count);
  };
  grid_tables t;
  t.levels = part(sizes.levels);
  t.edges = part(sizes.edges);
  t.points = part(sizes.points);
  t.half_norms = part(sizes.half_norms);
  return t;
}

inline void run_row_statistics(struct device *device, const represent_call &call, const operand_call &o,
                               const float *unless, const format_scratch *s) {
  int warps = call.q.columns > CHUNK ? FORMAT_WARPS : 1;
  launch_shape shape = {"row_statistics", row_blocks(o.rows, warps), FORMAT_THREADS, 0};
  with_dtype(o.from_dtype, [&](auto element) {
    using T = decltype(element);
    run(device, warps == 1 ? row_statistics_kernel<T, 1> : row_statistics_kernel<T, FORMAT_WARPS>, shape, call,
        view((const T *)o.from, o.rows * call.q.columns), view(o.signs, sign_words(call.q.columns)), view(unless, 1),
        view(s->row_absmax, o.rows), view(s->row_squares, o.rows));
  });
}

// Fills s->statistics where anything of the whole tensor is needed; returns them or NULL.
inline struct tensor_statistics *tensor_statistics_of(struct device *device, const represent_call &call,
                                                      const operand_call &o, const format_scratch *s) {
  const struct quantizer &q = call.q;
  bool learned = q.grid != GRID_NONE && q.rule == SCALE_LEARNED, selects = quantizer_needs_selection(&q);
  bool measured = quantizer_needs_absmax(&q) || quantizer_needs_rms(&q);
  if (!learned && !selects && !measured && !o.statistics) return nullptr;
  tensor_call t = {};
  t.known.last_tie = -1;
  t.windows = call.windows;
  t.rows = o.rows / window_count(&o.windows);  // of a window; a learned scale begins with the first
  t.columns = q.columns;
  t.measured = measured || learned;
  t.unset_only = learned && !measured;
  if (learned) t.first_scale = grid_gaussian_scale(&o.representation->grid);
  t.first_of_absmax = (double)q.first_of_absmax;
  const tensor_choice *chosen = nullptr;
  if (selects) {
    const struct sparsity *sparsity = &o.representation->sparsity;
    t.band = true;
    t.backward = sparsity->backward;
    t.backward_parameter = sparsity->backward_parameter;
    if (sparsity->backward == SPARSE_RMS || sparsity->backward == SPARSE_BAND)
      t.quantile = normal_quantile(0.5 + sparsity->backward_parameter);
    if (o.all) {  // all, zeroes too
      t.known.last_tie = INT64_MAX;
    } else if (sparsity->monotone) {
      // What was pruned is 0 in the master: the threshold is 0, without ties.
    } else if (sparsity->scope == SCOPE_GLOBAL) {
      chosen = o.chosen;
      t.tie_offset = o.first_row * q.columns;
    } else {
      select_span span = {o.from, o.rows * q.columns};
      run_select(device, o.from_dtype, &span, 1, s);
      run_choice(device, 0, s, s->chosen);
      chosen = s->chosen;
    }
  }
  if (t.measured) run_row_statistics(device, call, o, t.unset_only ? o.learned : nullptr, s);
  struct tensor_statistics *out = o.statistics ? o.statistics : s->statistics;
  int64_t windows = window_count(&call.windows);
  run(device, tensor_statistics_kernel, {"tensor_statistics", (unsigned)windows, TENSOR_THREADS, 0}, t,
      view(s->row_absmax, o.rows), view(s->row_squares, o.rows), view(chosen, 1),
      view(learned ? o.learned : nullptr, 1), view(out, windows));
  return out;
}

// The matrix that codes are of: of windows in turns the whole transposed one.
struct code_shape {
  int64_t rows, columns;
};
inline code_shape code_shape_of(const operand_call &o) {
  int64_t turns = o.windows.in_turns ? window_count(&o.windows) : 1;
  return {o.rows / turns, o.quantizer->columns * turns};
}

template <class From, class To, bool GENERAL, bool ENCODE>
void run_represent_as(struct device *device, const represent_call &call, const operand_call &o,
                      const struct tensor_statistics *statistics, const format_scratch *s) {
  int64_t columns = call.q.columns, count = o.rows * columns;
  int warps = columns > CHUNK ? FORMAT_WARPS : 1;
  bool rows_choose = call.q.sparsity == SPARSITY_TOP && call.q.scope == SCOPE_ROW;
  int64_t units = call.per_unit ? ceil_div(columns, call.q.group) * o.rows : 0;
  if (call.squares) units = ceil_div(columns, SQUARE) * ceil_div(o.rows, SQUARE);
  int64_t windows = window_count(&call.windows);
  code_shape codes = code_shape_of(o);
  launch_shape shape = {"represent", row_blocks(o.rows, warps), FORMAT_THREADS, 0};
  const encoded_matrix &e = o.encoded;
  bool rows_scaled = e.native.scaling == NATIVE_ROW;
  run(device,
      warps == 1 ? represent_kernel<From, To, GENERAL, 1, ENCODE>
                 : represent_kernel<From, To, GENERAL, FORMAT_WARPS, ENCODE>,
      shape, call, view((const From *)o.from, count), view((To *)o.to, count),
      view(o.mask, o.rows * mask_stride(columns)), view(o.signs, sign_words(columns)), format_numbers_of(device),
      view(statistics, windows), tables_of(&o.representation->grid, o.tables),
      view(units ? s->unit_scales : nullptr, units), view(rows_choose ? s->choices : nullptr, o.rows),
      view(e.codes, e.codes ? (int64_t)cuda_native_code_bytes(&e.native, o.rows, columns) : 0),
      view(e.scales, e.scales ? (int64_t)cuda_native_scale_bytes(&e.native, codes.rows, codes.columns) : 0),
      view(e.numbers, rows_scaled ? o.rows : (windows - 1) * CUDA_NATIVE_NUMBER_STRIDE + 1));
}

// Scales behind the matrix's ends are to be zeroes.
inline void clear_scales(struct device *device, const encoded_matrix &e, int64_t rows, int64_t columns) {
  size_t bytes = cuda_native_scale_bytes(&e.native, rows, columns);
  int64_t columns_of_tile = CUDA_SCALE_TILE_COLUMNS * cuda_native_block(&e.native);
  if (bytes && (rows % CUDA_SCALE_TILE_ROWS || columns % columns_of_tile)) clear(device, e.scales, bytes);
}

inline void represent(struct device *device, operand_call o, const format_scratch *s) {
  represent_call call = {};
  const struct quantizer &q = *o.quantizer;
  call.q = q;
  call.rows = o.rows;
  call.place = o.place;
  call.place.step = 0;  // a recorded call serves every step: see struct format_numbers
  call.hadamard_scale = hadamard_scale(q.hadamard_block);
  call.back = o.back && q.hadamard_block > 1;
  call.back_rounds = o.back_rounds;
  call.pruned = o.pruned;
  call.per_unit = cuda_group_apart(&o.representation->scale, &o.representation->grid);
  call.squares = q.grid != GRID_NONE && q.unit == SCALE_PER_SQUARE;
  int64_t count = o.rows * q.columns;
  if (q.hadamard_block > 1 && cuda_staged(o.representation)) {
    transform_pass pass = {o.rows, q.columns, q.hadamard_block, 0, false, false};
    run_transform(device, pass, o.from_dtype, o.from, DTYPE_FLOAT32, s->staged, nullptr, o.signs);
    o.from = s->staged;
    o.from_dtype = DTYPE_FLOAT32;
    call.transformed = true;
  }
  call.words = in_words(q.columns, o.from, o.to);
  call.native = o.encoded.native;
  // One learned scale is all windows'; what begins it is the first.
  if (q.rule != SCALE_LEARNED || q.grid == GRID_NONE) call.windows = o.windows;
  if (o.encoded.codes) clear_scales(device, o.encoded, code_shape_of(o).rows, code_shape_of(o).columns);
  const struct tensor_statistics *statistics = tensor_statistics_of(device, call, o, s);
  with_dtype(o.from_dtype, [&](auto element) {
    using From = decltype(element);
    if (call.per_unit) {
      int64_t units = ceil_div(q.columns, q.group) * o.rows;
      run(device, unit_scales_kernel<From>,
          {"unit_scales", (unsigned)ceil_div(units, UNIT_THREADS / WARP_THREADS), UNIT_THREADS, 0}, call,
          view((const From *)o.from, count), view(statistics, window_count(&call.windows)),
          view(s->unit_scales, units));
    }
    if (call.squares) {
      int64_t squares = ceil_div(q.columns, SQUARE) * ceil_div(o.rows, SQUARE);
      run(device, square_scales_kernel<From>,
          {"square_scales", (unsigned)ceil_div(squares, UNIT_THREADS / WARP_THREADS), UNIT_THREADS, 0}, call,
          view((const From *)o.from, count), view(statistics, window_count(&call.windows)),
          view(s->unit_scales, squares));
    }
    if (q.sparsity == SPARSITY_TOP && q.scope == SCOPE_ROW) {
      int64_t kept = q.columns - (int64_t)llrintf(q.pruned * (float)q.columns);
      run(device, select_rows_kernel<From>, {"select_rows", (unsigned)o.rows, SELECT_THREADS, 0}, q, kept,
          view((const From *)o.from, count), view(s->choices, o.rows));
    }
    bool general = call.per_unit || q.sparsity != SPARSITY_NONE || (q.grid != GRID_UNIFORM && q.grid != GRID_FLOAT);
    with_dtype(o.to_dtype, [&](auto target) {
      using To = decltype(target);
      if constexpr (sizeof(From) >= sizeof(To)) {
        if (general)
          run_represent_as<From, To, true, false>(device, call, o, statistics, s);
        else if (o.encoded.codes)
          run_represent_as<From, To, false, true>(device, call, o, statistics, s);
        else
          run_represent_as<From, To, false, false>(device, call, o, statistics, s);
      }
    });
  });
}

// Adds LSQ's gradient of a learned scale, times 1 / sqrt(values * high) as the paper scales it.
inline void learned_gradient(struct device *device, const struct quantizer *q, int64_t rows, enum dtype from_dtype,
                             const void *from, enum dtype gradient_dtype, const void *gradient, const float *learned,
                             float *d_learned, double values, const format_scratch *s) {
  represent_call call = {};
  call.q = *q;
  call.rows = rows;
  call.words = in_words(q->columns, from, gradient);
  with_dtype(from_dtype, [&](auto element) {
    with_dtype(gradient_dtype, [&](auto gradient_element) {
      using From = decltype(element);
      using Gradient = decltype(gradient_element);
      if constexpr (sizeof(From) <= sizeof(Gradient))
        run(device, learned_rows_kernel<From, Gradient>, {"learned_rows", row_blocks(rows, 1), FORMAT_THREADS, 0}, call,
            view((const From *)from, rows * q->columns), view((const Gradient *)gradient, rows * q->columns),
            view(learned, 1), view(s->row_sums, rows));
    });
  });
  run(device, learned_sum_kernel, {"learned_sum", 1, TENSOR_THREADS, 0}, rows, sqrt(values * (double)q->high),
      view((const double *)s->row_sums, rows), view(learned, 1), view(d_learned, 1));
}

}  // namespace
