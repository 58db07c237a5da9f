// Faults planted in the kernels of formats are found: tensors that are too short, memory that nobody wrote, operands
// that overlap, barriers that one thread or all of them leave out. The kernels are those of the backend, compiled here
// with barriers that can be switched off (struct left_out); what is too short or overlaps is in their arguments.
#include "kernels/cuda/emulator/language.h"

namespace {

// Which barrier or shuffle (each counted from 0 by each thread of a block) is left out, and by whom.
enum meeting { BARRIER, SHUFFLE };
struct left_out {
  int which[2] = {-1, -1}, thread = -1;  // thread -1: by all
  int met[2][1024] = {};
  unsigned blocks[1024] = {};
};
left_out planted;
bool leaves_out(meeting what) {
  unsigned thread = threadIdx.x, block = blockIdx.x + 1;
  if (planted.blocks[thread] != block) planted.met[BARRIER][thread] = planted.met[SHUFFLE][thread] = 0;
  planted.blocks[thread] = block;
  int number = planted.met[what][thread]++;
  return number == planted.which[what] && (planted.thread < 0 || planted.thread == (int)thread);
}

}  // namespace

// Macros, since barriers are told apart by where they stand.
#define __syncthreads() (leaves_out(BARRIER) ? (void)0 : __syncthreads())
#define __syncwarp() (leaves_out(BARRIER) ? (void)0 : __syncwarp())
#define __shfl_xor_sync(mask, value, lanes) (leaves_out(SHUFFLE) ? (value) : __shfl_xor_sync(mask, value, lanes))
#include "kernels/cuda/format_select.cuh"
#include "tests/check.h"

namespace {

cudaStream_t stream;
const char *const NONE = nullptr;  // no fault

// Launches and expects a fault of the kernel whose text contains `what`; NONE: no fault.
template <class... P, class... A>
void expect(const char *what, const char *name, void (*kernel)(P...), dim3 grid, unsigned threads, A... arguments) {
  launch(kernel, {name, grid, threads, 0}, stream, arguments...);
  cudaError_t status = cudaGetLastError();
  const char *text = cudaGetErrorString(status);
  if (!what) {
    if (!CHECK(status == cudaSuccess)) printf("# %s\n", text);
  } else {
    bool fine = status == cudaErrorLaunchFailure && strstr(text, what) && strstr(text, name);
    if (!CHECK(fine)) printf("# %s: got \"%s\", want \"%s\"\n", name, text, what);
  }
  forget_error();
  planted = left_out{};
}
void leave_out(int barrier, int thread = -1) {
  planted.which[BARRIER] = barrier;
  planted.thread = thread;
}
void leave_out_shuffle(int shuffle, int thread) {
  planted.which[SHUFFLE] = shuffle;
  planted.thread = thread;
}

// Device memory until the test's end; written with zeroes or not at all.
struct memory {
  void *address = nullptr;
  memory(size_t bytes, bool written) {
    cudaMalloc(&address, bytes);
    if (written) cudaMemsetAsync(address, 0, bytes, stream);
  }
  ~memory() { cudaFree(address); }
  memory(const memory &) = delete;
  memory &operator=(const memory &) = delete;
};
template <class T>
struct buffer : memory {
  int64_t count;
  buffer(int64_t elements, bool written = true) : memory((size_t)elements * sizeof(T), written), count(elements) {}
  T *data() const { return (T *)address; }
  device_pointer<T> all() const { return view(data(), count); }
  device_pointer<const T> in() const { return view((const T *)data(), count); }
  device_pointer<T> first(int64_t elements) const { return view(data(), elements); }
  void put(const T *values) const {
    cudaMemcpyAsync(address, values, (size_t)count * sizeof(T), cudaMemcpyHostToDevice, stream);
  }
};

// Everything that a matrix is represented with, right.
struct represented {
  struct arena arena = {};
  represent_call call = {};
  int64_t rows, columns, count;
  buffer<float> from, to;
  buffer<uint8_t> mask;
  buffer<uint32_t> signs;
  buffer<format_numbers> numbers;
  buffer<struct tensor_statistics> statistics;
  grid_tables tables = {};
  represented(const char *text, int64_t rows_, int64_t columns_)
      : rows(rows_),
        columns(columns_),
        count(rows_ * columns_),
        from(count),
        to(count),
        mask(rows_ * columns_ / 8),
        signs(columns_ / 32),
        numbers(1),
        statistics(1) {
    struct representation representation;
    struct error error = {};
    if (!CHECK(representation_parse(text, &representation, &arena, &error) &&
               quantizer_make(&call.q, &representation, columns, &arena, &error)))
      printf("# %s\n", error.text);
    call.rows = rows;
    call.hadamard_scale = 1 / sqrtf((float)call.q.hadamard_block);
    call.words = true;
    float *values = (float *)std::malloc((size_t)count * sizeof *values);
    for (int64_t i = 0; i < count; i++) values[i] = (float)(i * 37 % 101 - 50) / 50;
    from.put(values);
    std::free(values);
  }
  ~represented() { arena_free(&arena); }
  template <bool GENERAL, int WARPS>
  void run(const char *what) const {
    run_on<GENERAL, WARPS>(what, from.in(), to.all(), mask.all(), view((const uint32_t *)signs.data(), signs.count),
                           numbers.in(), statistics.in());
  }
  template <bool GENERAL, int WARPS>
  void run_on(const char *what, device_pointer<const float> x, device_pointer<float> y, device_pointer<uint8_t> bits,
              device_pointer<const uint32_t> random_signs, device_pointer<const format_numbers> n,
              device_pointer<const struct tensor_statistics> s) const {
    expect(what, "represent", represent_kernel<float, float, GENERAL, WARPS>, row_blocks(rows, WARPS), FORMAT_THREADS,
           call, x, y, bits, random_signs, n, s, tables, device_pointer<const float>(),
           device_pointer<const row_choice>(), device_pointer<uint8_t>(), device_pointer<uint8_t>(),
           device_pointer<float>());
  }
  // Codes and their scales, without values.
  void encode(const char *what, device_pointer<uint8_t> codes, device_pointer<uint8_t> scales,
              device_pointer<float> scale_numbers) const {
    expect(what, "represent", represent_kernel<float, float, false, 1, true>, row_blocks(rows, 1), FORMAT_THREADS, call,
           from.in(), device_pointer<float>(), mask.all(), device_pointer<const uint32_t>(), numbers.in(),
           statistics.in(), tables, device_pointer<const float>(), device_pointer<const row_choice>(), codes, scales,
           scale_numbers);
  }
};

const char *const BOUNDS = "out of bounds", *const UNWRITTEN = "uninitialised", *const RACE = "race",
                  *const DIVERGENT = "divergent barrier";

// ---- representing ----
void represent() {
  represented r("int4[absmax,group(32),stochastic,random-hadamard(32)]", 6, 512);
  auto signs = r.signs.in();
  auto numbers = r.numbers.in();
  device_pointer<const struct tensor_statistics> none;
  r.run<false, 1>(NONE);
  r.run_on<false, 1>("out of bounds: write of 16 bytes", r.from.in(), r.to.first(r.count - 1), r.mask.all(), signs,
                     numbers, none);
  r.run_on<false, 1>("out of bounds: read of 16 bytes", view((const float *)r.from.data(), r.count - 8), r.to.all(),
                     r.mask.all(), signs, numbers, none);
  r.run_on<false, 1>("out of bounds: write of 1 bytes", r.from.in(), r.to.all(), r.mask.first(r.mask.count - 1), signs,
                     numbers, none);
  r.run_on<false, 1>("out of bounds: read of 4 bytes", r.from.in(), r.to.all(), r.mask.all(),
                     view((const uint32_t *)r.signs.data(), r.signs.count - 1), numbers, none);
  buffer<format_numbers> unknown(1, false);
  buffer<float> unwritten(r.count, false);
  r.run_on<false, 1>(UNWRITTEN, r.from.in(), r.to.all(), r.mask.all(), signs, unknown.in(), none);
  r.run_on<false, 1>(UNWRITTEN, unwritten.in(), r.to.all(), r.mask.all(), signs, numbers, none);
  // Written where the next row still has to be read.
  r.run_on<false, 1>(RACE, view((const float *)r.from.data() + 512, r.count - 512), r.from.first(r.count - 512),
                     r.mask.all(), signs, numbers, none);
  // The words of a chunk are drawn between two barriers of the warp: without the first they are drawn over those that
  // other lanes still read; without the second they are read before they are drawn.
  leave_out(2);
  r.run<false, 1>(RACE);
  leave_out(1);
  r.run<false, 1>(UNWRITTEN);
  leave_out(0, 37);
  r.run<false, 1>(DIVERGENT);
  leave_out_shuffle(4, 37);
  r.run<false, 1>(DIVERGENT);
}
// A row by a block: its scale is a sum over warps.
void represent_long_rows() {
  represented r("int4[rms,row,no-hadamard]", 2, 1536);
  r.run<false, FORMAT_WARPS>(NONE);
  leave_out(0);
  r.run<false, FORMAT_WARPS>(UNWRITTEN);
  leave_out(2);
  r.run<false, FORMAT_WARPS>(UNWRITTEN);
  leave_out(3, 70);
  r.run<false, FORMAT_WARPS>(DIVERGENT);
}
// Native operands: 130 rows are more than a tile of scales, 512 columns eight tiles of NVFP4's.
void represent_codes() {
  represented r("nvfp4", 130, 512);
  r.call.native = {NATIVE_E2M1, NATIVE_BLOCK16, 1};
  buffer<uint8_t> codes(r.count / 2), scales(256 * 32);
  buffer<float> numbers(1);
  r.encode(NONE, codes.all(), scales.all(), numbers.all());
  r.encode("out of bounds: write of 4 bytes", codes.first(codes.count - 1), scales.all(), numbers.all());
  // 492 bytes follow the last scale of row 129.
  r.encode(NONE, codes.all(), scales.first(256 * 32 - 492), numbers.all());
  r.encode("out of bounds: write of 1 bytes", codes.all(), scales.first(256 * 32 - 493), numbers.all());
  r.encode("out of bounds: write of 1 bytes", codes.all(), scales.first(128 * 32), numbers.all());
  represented fp8("fp8-e4m3[absmax,row,no-hadamard,ste]", 6, 512);
  fp8.call.native = {NATIVE_E4M3, NATIVE_ROW, 1};
  buffer<uint8_t> bytes(fp8.count);
  buffer<float> of_rows(6);
  fp8.encode(NONE, bytes.all(), device_pointer<uint8_t>(), of_rows.all());
  fp8.encode("out of bounds: write of 8 bytes", bytes.first(fp8.count - 1), device_pointer<uint8_t>(), of_rows.all());
  fp8.encode("out of bounds: write of 4 bytes", bytes.all(), device_pointer<uint8_t>(), of_rows.first(5));
}
void represent_sparse() {
  represented r("random-sparse(0.5)+int4", 4, 256);
  r.call.pruned = true;
  r.run<true, 1>(NONE);
  buffer<struct tensor_statistics> unknown(1, false);
  buffer<format_numbers> unset(1, false);
  auto run_on = [&](const char *what, device_pointer<const format_numbers> n,
                    device_pointer<const struct tensor_statistics> s) {
    r.run_on<true, 1>(what, r.from.in(), r.to.all(), r.mask.all(), r.signs.in(), n, s);
  };
  run_on(UNWRITTEN, r.numbers.in(), unknown.in());
  run_on(UNWRITTEN, unset.in(), r.statistics.in());
  leave_out(0, 3);
  r.run<true, 1>(DIVERGENT);
  leave_out(1);
  r.run<true, 1>(UNWRITTEN);
}

// ---- selecting ----
struct selecting {
  static constexpr int64_t COUNT = 9000;
  buffer<float> data{COUNT};
  buffer<counter> counts{SELECT_BINS};
  buffer<select_state> state{1};
  buffer<uint32_t> ties{TIE_BLOCKS, false};
  buffer<format_numbers> numbers{1};
  buffer<tensor_choice> choice{1};
  selecting() {
    float values[COUNT];
    for (int64_t i = 0; i < COUNT; i++) values[i] = (float)(i * 37 % 101 - 50) / 50;
    data.put(values);
    format_numbers n = {3, 0.4, 0};
    numbers.put(&n);
  }
  void begin(const char *what) const {
    expect(what, "select", select_begin_kernel, 1, SELECT_THREADS, data.count, numbers.in(), counts.all(), state.all());
  }
  void count(const char *what, int pass) const {
    expect(what, "select_count", select_count_kernel<float>, 3, SELECT_THREADS, data.count, pass, data.in(), state.in(),
           counts.all());
  }
  void found(const char *what, int pass) const {
    expect(what, "select_found", select_found_kernel, 1, SELECT_THREADS, pass, counts.all(), state.all());
  }
  void count_ties(const char *what) const {
    expect(what, "tie_count", tie_count_kernel<float>, 3, SELECT_THREADS, data.count, data.in(), state.in(),
           ties.all());
  }
  void place_ties(const char *what) const {
    expect(what, "tie_place", tie_place_kernel<float>, 1, SELECT_THREADS, 0, data.count, 3, data.in(), ties.in(),
           state.all());
  }
  void three_passes() const {
    begin(NONE);
    for (int pass = 0; pass < SELECT_PASSES; pass++) {
      count(NONE, pass);
      found(NONE, pass);
    }
  }
};
void select() {
  selecting s;
  s.three_passes();
  s.count_ties(NONE);
  s.place_ties(NONE);
  // Arrays that are too short, and what nobody wrote.
  buffer<float> shorter(selecting::COUNT - 1);
  buffer<select_state> unknown(1, false);
  buffer<format_numbers> unset(1, false);
  s.begin(NONE);
  expect(BOUNDS, "select_count", select_count_kernel<float>, 3, SELECT_THREADS, s.data.count, 0, shorter.in(),
         s.state.in(), s.counts.all());
  expect(BOUNDS, "select", select_begin_kernel, 1, SELECT_THREADS, s.data.count, s.numbers.in(),
         s.counts.first(SELECT_BINS - 1), s.state.all());
  expect(UNWRITTEN, "select", select_begin_kernel, 1, SELECT_THREADS, s.data.count, unset.in(), s.counts.all(),
         s.state.all());
  expect(UNWRITTEN, "select_count", select_count_kernel<float>, 3, SELECT_THREADS, s.data.count, 0, s.data.in(),
         unknown.in(), s.counts.all());
  expect(UNWRITTEN, "select_found", select_found_kernel, 1, SELECT_THREADS, 0, s.counts.all(), unknown.all());
  expect(UNWRITTEN, "choice", choice_kernel, 1, WARP_THREADS, 0, unknown.in(), s.choice.all());
  selecting fresh;
  fresh.three_passes();
  fresh.place_ties(UNWRITTEN);  // before they are counted
  // Barriers. Counting: after the block's own counts are cleared, and before they are added to all.
  s.begin(NONE);
  leave_out(0);
  s.count(UNWRITTEN, 0);
  leave_out(1);
  s.count(RACE, 0);
  leave_out(1, 200);
  s.count(DIVERGENT, 0);
  s.begin(NONE);
  s.count(NONE, 0);
  leave_out(0);
  s.found(UNWRITTEN, 0);
  leave_out(1);
  s.found(RACE, 0);
  leave_out(1, 255);
  s.found(DIVERGENT, 0);
  s.three_passes();
  leave_out(1, 12);
  s.count_ties(DIVERGENT);
  leave_out(0);
  s.count_ties(UNWRITTEN);
  s.count_ties(NONE);
  leave_out(1);
  s.place_ties(UNWRITTEN);
  leave_out(2);
  s.place_ties(RACE);
  leave_out(2, 100);
  s.place_ties(DIVERGENT);
}
void select_rows() {
  represented r("sparse(0.5,row)", 3, 300);
  buffer<row_choice> choices(3, false);
  auto run = [&](const char *what, device_pointer<const float> from, device_pointer<row_choice> to) {
    expect(what, "select_rows", select_rows_kernel<float>, 3, SELECT_THREADS, r.call.q, (int64_t)150, from, to);
  };
  run(NONE, r.from.in(), choices.all());
  run(BOUNDS, r.from.in(), choices.first(2));
  run(BOUNDS, view((const float *)r.from.data(), 899), choices.all());
  buffer<float> unwritten(900, false);
  run(UNWRITTEN, unwritten.in(), choices.all());
  leave_out(0);
  run(UNWRITTEN, r.from.in(), choices.all());
  leave_out(1);
  run(RACE, r.from.in(), choices.all());
  leave_out(3, 9);
  run(DIVERGENT, r.from.in(), choices.all());
}

// ---- pruning, which has no barriers ----
void prune() {
  selecting s;
  s.three_passes();
  s.count_ties(NONE);
  s.place_ties(NONE);
  buffer<bfloat16> m(selecting::COUNT), v(selecting::COUNT);
  buffer<float> wide(selecting::COUNT);
  auto run = [&](const char *what, device_pointer<const select_state> state, device_pointer<float> master,
                 device_pointer<bfloat16> first, device_pointer<bfloat16> second) {
    expect(what, "prune", prune_kernel<float, bfloat16>, element_blocks(s.data.count), ELEMENT_THREADS, 0, s.data.count,
           state, master, first, second);
  };
  // Moments of bfloat16 taken for float32 end half-way.
  expect("out of bounds: write of 4 bytes", "prune", prune_kernel<float, float>, element_blocks(s.data.count),
         ELEMENT_THREADS, 0, s.data.count, s.state.in(), s.data.all(), view((float *)m.address, selecting::COUNT / 2),
         device_pointer<float>());
  buffer<select_state> unknown(1, false);
  buffer<float> unwritten(selecting::COUNT, false);
  run(UNWRITTEN, unknown.in(), s.data.all(), m.all(), v.all());
  run(UNWRITTEN, s.state.in(), unwritten.all(), m.all(), v.all());
  run(BOUNDS, s.state.in(), s.data.first(selecting::COUNT - 1), m.all(), v.all());
  // Moments that begin within the master: another thread's values.
  expect(RACE, "prune", prune_kernel<float, float>, element_blocks(1000), ELEMENT_THREADS, 0, (int64_t)1000,
         s.state.in(), s.data.all(), view(s.data.data() + 1, 1000), wide.all());
  run(NONE, s.state.in(), s.data.all(), m.all(), v.all());
}

// ---- transforms and transposition ----
void transform() {
  constexpr int64_t ROWS = 3, COLUMNS = 512, COUNT = ROWS * COLUMNS;
  buffer<float> x(COUNT), y(COUNT, false), unwritten(COUNT, false);
  buffer<uint8_t> mask(COUNT / 8);
  buffer<uint32_t> signs(COLUMNS / 32);
  transform_pass pass = {ROWS, COLUMNS, 128, 0.5f, true, true};
  auto run = [&](const char *what, device_pointer<const float> from, device_pointer<float> to,
                 device_pointer<const uint8_t> bits) {
    expect(what, "transform", transform_kernel<float, float>, 2, FORMAT_THREADS, pass, from, to, bits, signs.in());
  };
  run(NONE, x.in(), y.all(), mask.in());
  run(NONE, x.in(), x.all(), mask.in());
  run(BOUNDS, x.in(), y.first(COUNT - 1), mask.in());
  run(BOUNDS, x.in(), y.all(), view((const uint8_t *)mask.data(), mask.count - 1));
  run(UNWRITTEN, unwritten.in(), y.all(), mask.in());
  run(RACE, view((const float *)x.data(), COUNT - 4), view(x.data() + 4, COUNT - 4), mask.in());
  leave_out_shuffle(3, 17);
  run(DIVERGENT, x.in(), y.all(), mask.in());
  buffer<format_numbers> unset(1, false), numbers(1);
  expect(NONE, "hadamard_signs", hadamard_signs_kernel, 1, ELEMENT_THREADS, (int64_t)4, false, (uint64_t)1, (uint64_t)2,
         numbers.in(), signs.all());
  expect(UNWRITTEN, "hadamard_signs", hadamard_signs_kernel, 1, ELEMENT_THREADS, (int64_t)4, false, (uint64_t)1,
         (uint64_t)2, unset.in(), signs.all());
  expect(BOUNDS, "hadamard_signs", hadamard_signs_kernel, 1, ELEMENT_THREADS, (int64_t)5, false, (uint64_t)1,
         (uint64_t)2, numbers.in(), signs.all());
}
void transpose() {
  constexpr int64_t ROWS = 40, COLUMNS = 33;
  buffer<uint16_t> x(ROWS * COLUMNS), y(ROWS * COLUMNS, false), unwritten(ROWS * COLUMNS, false);
  auto run = [&](const char *what, device_pointer<const uint16_t> from, device_pointer<uint16_t> to) {
    expect(what, "transpose", transpose_kernel<uint16_t>, 4, TRANSPOSE_TILE * TRANSPOSE_ROWS, ROWS, COLUMNS, from, to);
  };
  run(NONE, x.in(), y.all());
  run(BOUNDS, x.in(), y.first(y.count - 1));
  run(UNWRITTEN, unwritten.in(), y.all());
  run(RACE, x.in(), x.all());
  leave_out(0);
  run(UNWRITTEN, x.in(), y.all());
  // A thread that has nothing to read behind the barrier.
  leave_out(0, 255);
  expect(DIVERGENT, "transpose", transpose_kernel<uint16_t>, 1, TRANSPOSE_TILE * TRANSPOSE_ROWS, (int64_t)32,
         (int64_t)3, x.in(), y.all());
}

// ---- statistics of a tensor ----
void statistics() {
  constexpr int64_t ROWS = 300;
  buffer<uint32_t> largest(ROWS);
  buffer<float> squares(ROWS), unwritten(ROWS, false);
  buffer<struct tensor_statistics> out(1, false);
  tensor_call call = {};
  call.rows = ROWS;
  call.columns = 16;
  call.measured = true;
  auto run = [&](const char *what, device_pointer<const uint32_t> most, device_pointer<const float> sums) {
    expect(what, "tensor_statistics", tensor_statistics_kernel, 1, TENSOR_THREADS, call, most, sums,
           device_pointer<const tensor_choice>(), device_pointer<float>(), out.all());
  };
  run(NONE, largest.in(), squares.in());
  run(BOUNDS, view((const uint32_t *)largest.data(), ROWS - 1), squares.in());
  run(UNWRITTEN, largest.in(), unwritten.in());
  leave_out(2);  // the last one, behind which one thread reads all
  run(UNWRITTEN, largest.in(), squares.in());
  leave_out(2, 31);
  run(DIVERGENT, largest.in(), squares.in());
}

}  // namespace

int main() {
  cudaStreamCreate(&stream);
  RUN(represent);
  RUN(represent_long_rows);
  RUN(represent_codes);
  RUN(represent_sparse);
  RUN(select);
  RUN(select_rows);
  RUN(prune);
  RUN(transform);
  RUN(transpose);
  RUN(statistics);
  cudaStreamDestroy(stream);
  return check_end();
}
