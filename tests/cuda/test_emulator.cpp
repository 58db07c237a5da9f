// The emulated device finds planted faults of every kind, says where, and leaves correct kernels alone; warp
// operations, mma.sync and cp.async give what they are documented to give.
#include "kernels/cuda/portable.cuh"
#include "tests/check.h"

namespace {

struct fixture {
  cudaStream_t stream = nullptr;
  void *memory = nullptr;
  static constexpr int64_t COUNT = 256;
  float *data() const { return static_cast<float *>(memory); }
  device_pointer<float> all() const { return view(data(), COUNT); }

  fixture() {
    forget_error();
    cudaStreamCreate(&stream);
    cudaMalloc(&memory, COUNT * sizeof(float));
  }
  ~fixture() {
    forget_error();
    cudaFree(memory);
    cudaStreamDestroy(stream);
  }
  void write_all() const {
    float zeroes[COUNT] = {};
    cudaMemcpyAsync(memory, zeroes, sizeof zeroes, cudaMemcpyHostToDevice, stream);
  }
};

// Launches and expects a fault whose text begins with where and contains what; NULL: none.
template <class... P, class... A>
void expect(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, const char *where, const char *what,
            const fixture &f, A... arguments) {
  launch(kernel, {"planted", grid, block, shared_bytes}, f.stream, arguments...);
  cudaError_t status = cudaGetLastError();
  const char *text = cudaGetErrorString(status);
  if (!what) {
    if (!CHECK(status == cudaSuccess)) printf("# %s\n", text);
    return;
  }
  bool fine = status == cudaErrorLaunchFailure && strstr(text, what) && strncmp(text, where, strlen(where)) == 0;
  if (!CHECK(fine)) printf("# got \"%s\", want \"%s\" ... \"%s\"\n", text, where, what);
  forget_error();
}

__global__ void write_at(device_pointer<float> p, int64_t i, unsigned who) {
  if (threadIdx.x == who) p[i] = 1;
}
__global__ void read_at(device_pointer<const float> p, int64_t i, device_pointer<float> to) {
  if (threadIdx.x == 5) to[0] = p[i];
}
__global__ void wide_at(device_pointer<float> p, int64_t i) { store_word(p, i + 4 * threadIdx.x, uint4{1, 2, 3, 4}); }

void out_of_bounds() {
  fixture f;
  f.write_all();
  expect(write_at, 1, 32, 0, "kernel planted, block (0, 0, 0), thread (7, 0, 0): ",
         "out of bounds: write of 4 bytes at byte 1024 of 1024 bytes of global memory", f, f.all(), 256, 7u);
  expect(write_at, 1, 32, 0, "kernel planted", "out of bounds: write of 4 bytes at byte -4", f, f.all(), -1, 0u);
  // A tensor's own end counts, not that of the allocation it lies in.
  expect(write_at, 1, 32, 0, "kernel planted", "out of bounds", f, view(f.data(), 10), 10, 0u);
  expect(read_at, 1, 32, 0, "kernel planted", "out of bounds: read", f, view((const float *)f.data(), 10), 11, f.all());
  expect(write_at, 1, 32, 0, "kernel planted", "null pointer", f, device_pointer<float>(), 0, 0u);
  expect(write_at, dim3(2, 3), 32, 0, "kernel planted, block (0, 0, 0)", "out of bounds", f, f.all(), 256, 0u);
  expect(wide_at, 1, 32, 0, "kernel planted", "misaligned: write of 16 bytes", f, f.all(), 1);
  expect(wide_at, 1, 32, 0, "kernel planted", nullptr, f, f.all(), 0);
}

__global__ void copy_first(device_pointer<const float> from, device_pointer<float> to) {
  to[threadIdx.x] = from[threadIdx.x];
}
__global__ void shared_copy(device_pointer<float> to, int written, int64_t read) {
  shared_pointer<float> tile = shared_memory<float>(0, 32);
  if ((int)threadIdx.x < written) tile[threadIdx.x] = 1;
  __syncthreads();
  if (threadIdx.x == 0) to[0] = tile[read];
}
__global__ void static_copy(device_pointer<float> to, int written) {
  shared_pointer<float> tile = shared_array<float, 32, 0>(), other = shared_array<float, 32, 1>();
  if ((int)threadIdx.x < written) tile[threadIdx.x] = other[threadIdx.x] = 1;
  __syncthreads();
  to[threadIdx.x] = tile[31 - threadIdx.x] + other[threadIdx.x];
}

void uninitialised() {
  fixture f;
  expect(copy_first, 1, 32, 0, "kernel planted, block (0, 0, 0), thread (0, 0, 0): ",
         "uninitialised: read of 4 bytes at byte 0 of global memory", f, device_pointer<const float>(f.all()),
         view(f.data() + 32, 32));
  expect(shared_copy, 1, 32, 128, "kernel planted", nullptr, f, f.all(), 32, 31);
  expect(shared_copy, 1, 32, 128, "kernel planted", "uninitialised: read of 4 bytes at byte 124 of shared", f, f.all(),
         31, 31);
  expect(shared_copy, 1, 32, 128, "kernel planted", "out of bounds: read of 4 bytes at byte 128 of 128", f, f.all(), 32,
         32);
  expect(shared_copy, 1, 32, 64, "kernel planted", "bytes of dynamic shared memory", f, f.all(), 16, 1);
  expect(static_copy, 2, 32, 0, "kernel planted", "race between blocks", f, f.all(), 32);
  expect(static_copy, 1, 32, 0, "kernel planted", nullptr, f, f.all(), 32);
  // What one block wrote to shared memory, the next one has not.
  expect(static_copy, 1, 32, 0, "kernel planted, block (0, 0, 0), thread (31, 0, 0)", "uninitialised", f, f.all(), 31);
  float host[fixture::COUNT];
  CHECK(cudaMemcpyAsync(host, f.memory, sizeof host, cudaMemcpyDeviceToHost, f.stream) == cudaErrorInvalidValue);
  CHECK(strstr(cudaGetErrorString(cudaGetLastError()), "never written") != nullptr);
}

__global__ void half_waits() {
  if (threadIdx.x < 40) __syncthreads();
}
__global__ void two_places() {
  if (threadIdx.x < 32)
    __syncthreads();
  else
    __syncthreads();
}
__global__ void lane_leaves() {
  if (threadIdx.x % 32 == 3) return;
  __syncwarp();
}
__global__ void shuffle_against_barrier() {
  if (threadIdx.x == 0)
    __syncthreads();
  else
    __shfl_xor_sync(0xffffffffu, 1, 1);
}
void divergent_barriers() {
  fixture f;
  expect(half_waits, 1, 64, 0, "kernel planted, block (0, 0, 0), thread (0, 0, 0): ", "but thread 63 has exited", f);
  expect(two_places, 1, 64, 0,
         "kernel planted, block (0, 0, 0), thread (32, 0, 0): ", "divergent barrier: waits at __syncthreads", f);
  expect(lane_leaves, 1, 32, 0, "kernel planted", "has exited", f);
  expect(shuffle_against_barrier, 1, 32, 0, "kernel planted", "divergent barrier", f);
}

// Each thread writes its own and reads that of an earlier one, with this between.
enum between { NOTHING, WARP_BARRIER, BLOCK_BARRIER };
__global__ void neighbours(device_pointer<float> p, int kind, bool shared, unsigned back) {
  shared_pointer<float> tile = shared ? shared_memory<float>(0, 64) : p;
  tile[threadIdx.x] = 1;
  if (kind == WARP_BARRIER) __syncwarp();
  if (kind == BLOCK_BARRIER) __syncthreads();
  if (threadIdx.x < back) return;
  float value = tile[threadIdx.x - back];
  if (value != 1) p[64 + threadIdx.x] = value;
}
// Reads of all, then one writes, with nothing between.
__global__ void read_then_write(device_pointer<float> p, bool barrier) {
  float value = p[0];
  if (barrier) __syncthreads();
  if (threadIdx.x == 9) p[0] = value + 1;
}
__global__ void count_all(device_pointer<int> counter, bool atomic) {
  if (atomic)
    atomicAdd(counter, 1);
  else
    counter[0] = counter[0] + 1;
}
void races() {
  fixture f;
  for (bool shared : {false, true}) {
    const char *what = shared ? "of shared memory, and a write by thread" : "of global memory, and a write by thread";
    expect(neighbours, 1, 64, 256, "kernel planted, block (0, 0, 0), thread (", what, f, f.all(), NOTHING, shared, 1u);
    // A warp's barrier does not order two warps.
    expect(neighbours, 1, 64, 256, "kernel planted", what, f, f.all(), WARP_BARRIER, shared, 32u);
    expect(neighbours, 1, 64, 256, "kernel planted", nullptr, f, f.all(), BLOCK_BARRIER, shared, 32u);
    expect(neighbours, 1, 64, 256, "kernel planted", nullptr, f, f.all(), BLOCK_BARRIER, shared, 1u);
  }
  f.write_all();
  expect(neighbours, 1, 64, 256, "kernel planted", nullptr, f, f.all(), WARP_BARRIER, true, 0u);
  expect(read_then_write, 1, 64, 0, "kernel planted, block (0, 0, 0), thread (9, 0, 0)",
         "race: write at byte 0 of global memory, and a read by thread", f, f.all(), false);
  expect(read_then_write, 1, 64, 0, "kernel planted", nullptr, f, f.all(), true);
  expect(read_then_write, 2, 64, 0, "kernel planted, block (1, 0, 0)", "race between blocks", f, f.all(), true);
  device_pointer<int> counter = view(reinterpret_cast<int *>(f.memory), 1);
  expect(count_all, 1, 64, 0, "kernel planted", "race", f, counter, false);
  int zero = 0, count = 0;
  cudaMemcpyAsync(f.memory, &zero, sizeof zero, cudaMemcpyHostToDevice, f.stream);
  expect(count_all, 3, 64, 0, "kernel planted", nullptr, f, counter, true);
  cudaMemcpyAsync(&count, f.memory, sizeof count, cudaMemcpyDeviceToHost, f.stream);
  CHECK(count == 3 * 64);
}

void launches() {
  fixture f;
  expect(half_waits, 1, 33, 0, "kernel planted: ", "cannot be launched", f);
  expect(half_waits, dim3(1, 70000), 32, 0, "kernel planted: ", "cannot be launched", f);
  expect(half_waits, 1, 32, 60000, "kernel planted: ", "60000 bytes of shared memory; 49152 are allowed", f);
  // A failure sticks: what follows does nothing.
  f.write_all();
  launch(write_at, {"first", 1, 32, 0}, f.stream, f.all(), 1000, 0u);
  launch(write_at, {"second", 1, 32, 0}, f.stream, f.all(), 2000, 0u);
  CHECK(strstr(cudaGetErrorString(cudaGetLastError()), "kernel first") != nullptr);
  CHECK(cudaStreamSynchronize(f.stream) == cudaErrorLaunchFailure);
}

__global__ void warp_operations(device_pointer<unsigned> out) {
  unsigned lane = threadIdx.x;
  out[lane] = __shfl_xor_sync(0xffffffffu, lane, 5);
  out[32 + lane] = __shfl_down_sync(0xffffffffu, lane, 3);
  out[64 + lane] = __shfl_up_sync(0xffffffffu, lane, 2, 8);
  out[96 + lane] = __shfl_sync(0xffffffffu, lane * 10, 7);
  unsigned votes = __ballot_sync(0xffffffffu, lane % 3 == 0);
  out[128 + lane] = votes + (__any_sync(0xffffffffu, lane == 31) ? 1 : 0) + (__all_sync(0xffffffffu, lane > 0) ? 1 : 0);
}
void warps() {
  fixture f;
  unsigned out[160];
  expect(warp_operations, 1, 32, 0, "", nullptr, f, view(reinterpret_cast<unsigned *>(f.memory), 160));
  cudaMemcpyAsync(out, f.memory, sizeof out, cudaMemcpyDeviceToHost, f.stream);
  bool fine = true;
  for (unsigned lane = 0; lane < 32; lane++) {
    fine &= out[lane] == (lane ^ 5) && out[32 + lane] == (lane < 29 ? lane + 3 : lane) && out[96 + lane] == 70;
    fine &= out[64 + lane] == (lane % 8 >= 2 ? lane - 2 : lane) && out[128 + lane] == 0x49249249u + 1;
  }
  CHECK(fine);
}

// a [16, 16] row-major, b [16, 8] row-major, d [16, 8]: each lane gathers its fragments by the manual's formulas.
__global__ void mma_kernel(device_pointer<const bfloat16> a, device_pointer<const bfloat16> b,
                           device_pointer<float> out) {
  int lane = threadIdx.x, group = lane / 4, pair = lane % 4;
  auto two = [](bfloat16 low, bfloat16 high) { return (uint32_t)high.bits << 16 | low.bits; };
  uint32_t from_a[4], from_b[2];
  for (int i = 0; i < 4; i++) {
    int row = group + i % 2 * 8, column = pair * 2 + i / 2 * 8;
    from_a[i] = two(a[row * 16 + column], a[row * 16 + column + 1]);
  }
  for (int i = 0; i < 2; i++) {
    int row = pair * 2 + i * 8;
    from_b[i] = two(b[row * 8 + group], b[(row + 1) * 8 + group]);
  }
  float c[4] = {1, 1, 1, 1}, d[4];
  mma_16816(d, from_a, from_b, c);
  for (int i = 0; i < 4; i++) out[(group + i / 2 * 8) * 8 + pair * 2 + i % 2] = d[i];
}
void tensor_core() {
  fixture f;
  bfloat16 operands[16 * 16 + 16 * 8];
  float got[16 * 8];
  for (int i = 0; i < 16 * 16 + 16 * 8; i++) operands[i] = from_float<bfloat16>((float)(i * 37 % 101 - 50) / 16);
  cudaMemcpyAsync(f.memory, operands, sizeof operands, cudaMemcpyHostToDevice, f.stream);
  void *out = nullptr;
  cudaMalloc(&out, sizeof got);
  const bfloat16 *a = static_cast<const bfloat16 *>(f.memory);
  expect(mma_kernel, 1, 32, 0, "", nullptr, f, view(a, 256), view(a + 256, 128), view(static_cast<float *>(out), 128));
  cudaMemcpyAsync(got, out, sizeof got, cudaMemcpyDeviceToHost, f.stream);
  for (int row = 0; row < 16; row++)
    for (int column = 0; column < 8; column++) {
      double want = 1;
      for (int k = 0; k < 16; k++)
        want += (double)to_float(operands[row * 16 + k]) * to_float(operands[256 + k * 8 + column]);
      CHECK_NEAR(got[row * 8 + column], want, 1e-5);
    }
  cudaFree(out);
}

// ldmatrix against the manual's figures, on matrices whose element (row, column) of matrix m is m * 64 + row * 8 +
// column: lane 0 has (0, 0) and (0, 1), lane 1 (0, 2) and (0, 3), lane 4 (1, 0) and (1, 1), lane 31 (7, 6) and (7, 7).
__global__ void matrices_kernel(device_pointer<uint32_t> out, bool transposed, int64_t off) {
  shared_pointer<uint16_t> tile = shared_memory<uint16_t>(0, 264);
  for (int i = threadIdx.x; i < 264; i += 32) tile[i] = (uint16_t)i;
  __syncwarp();
  uint32_t to[4];
  if (transposed)
    load_matrices_transposed(to, tile, threadIdx.x * 8 + off);
  else
    load_matrices(to, tile, threadIdx.x * 8 + off);
  for (int i = 0; i < 4; i++) out[threadIdx.x * 4 + i] = to[i];
}
void matrices() {
  fixture f;
  uint32_t got[128];
  device_pointer<uint32_t> out = view(reinterpret_cast<uint32_t *>(f.memory), 128);
  struct lane_case {
    int lane;
    uint32_t low, high, transposed_low, transposed_high;
  };
  const lane_case cases[] = {{0, 0, 1, 0, 8}, {1, 2, 3, 16, 24},    {3, 6, 7, 48, 56},
                             {4, 8, 9, 1, 9}, {17, 34, 35, 20, 28}, {31, 62, 63, 55, 63}};
  for (bool transposed : {false, true}) {
    expect(matrices_kernel, 1, 32, 528, "", nullptr, f, out, transposed, (int64_t)0);
    cudaMemcpyAsync(got, f.memory, sizeof got, cudaMemcpyDeviceToHost, f.stream);
    for (const lane_case &c : cases)
      for (uint32_t matrix = 0; matrix < 4; matrix++) {
        uint32_t low = matrix * 64 + (transposed ? c.transposed_low : c.low);
        uint32_t high = matrix * 64 + (transposed ? c.transposed_high : c.high);
        if (!CHECK(got[c.lane * 4 + (int)matrix] == (high << 16 | low)))
          printf("# lane %d, matrix %u: %08x\n", c.lane, matrix, got[c.lane * 4 + (int)matrix]);
      }
  }
  expect(matrices_kernel, 1, 32, 528, "kernel planted", "misaligned: read of 16 bytes", f, out, false, (int64_t)4);
  expect(matrices_kernel, 1, 32, 528, "kernel planted, block (0, 0, 0), thread (31, 0, 0)", "out of bounds", f, out,
         true, (int64_t)16);
}

// The manual's tables for mma.m16n8k16, value by value: an operand that is 1 at one place picks out one of the other.
__global__ void fragments_kernel(device_pointer<float> out, int lane, int which, int half, bool left) {
  float d[4], zero[4] = {};
  uint32_t a[4] = {}, b[2] = {}, one = half ? 0x3f800000u : 0x3f80u;
  uint32_t mine = 0x40404040u;  // 3.0 in both halves of every register of the other operand
  if (left) {
    if ((int)threadIdx.x == lane) a[which] = one;
    b[0] = b[1] = mine;
  } else {
    if ((int)threadIdx.x == lane) b[which] = one;
    a[0] = a[1] = a[2] = a[3] = mine;
  }
  mma_16816(d, a, b, zero);
  for (int i = 0; i < 4; i++) out[threadIdx.x * 4 + i] = d[i];
}
void fragments() {
  fixture f;
  float got[128];
  struct fragment_case {
    int lane, which, half;
    bool left;
    int line;  // the row of a, or the column of b, that the value stands in
  };
  const fragment_case cases[] = {{0, 0, 0, true, 0},  {0, 1, 1, true, 8},   {13, 2, 0, true, 3},  {31, 3, 1, true, 15},
                                 {0, 0, 0, false, 0}, {13, 1, 1, false, 3}, {31, 0, 0, false, 7}, {6, 1, 0, false, 1}};
  for (const fragment_case &c : cases) {
    expect(fragments_kernel, 1, 32, 0, "", nullptr, f, view(f.data(), 128), c.lane, c.which, c.half, c.left);
    cudaMemcpyAsync(got, f.memory, sizeof got, cudaMemcpyDeviceToHost, f.stream);
    for (int lane = 0; lane < 32; lane++)
      for (int i = 0; i < 4; i++) {
        int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
        CHECK((got[lane * 4 + i] != 0) == ((c.left ? row : column) == c.line));
      }
  }
}

__global__ void async_kernel(device_pointer<const float> from, device_pointer<float> to, bool wait) {
  shared_pointer<float> tile = shared_memory<float>(0, 128);
  copy_async(tile, (int64_t)threadIdx.x * 4, from, (int64_t)threadIdx.x * 4);
  copy_async_commit();
  if (wait) copy_async_wait<0>();
  __syncthreads();
  to[threadIdx.x] = tile[(threadIdx.x * 5) % 128];
}
__global__ void async_part_kernel(device_pointer<const float> from, device_pointer<float> to) {
  shared_pointer<float> tile = shared_memory<float>(0, 128);
  int first = (int)threadIdx.x * 4;
  copy_async(tile, first, from, first, first < 40);
  copy_async_commit();
  copy_async_wait<0>();
  __syncthreads();
  for (int i = 0; i < 4; i++) to[first + i] = tile[first + i];
}
void asynchronous_copies() {
  fixture f;
  float host[fixture::COUNT], back[32];
  for (int i = 0; i < fixture::COUNT; i++) host[i] = (float)i;
  cudaMemcpyAsync(f.memory, host, sizeof host, cudaMemcpyHostToDevice, f.stream);
  device_pointer<const float> from = view((const float *)f.data(), 128);
  expect(async_kernel, 1, 32, 512, "", nullptr, f, from, view(f.data() + 128, 128), true);
  cudaMemcpyAsync(back, f.data() + 128, sizeof back, cudaMemcpyDeviceToHost, f.stream);
  for (int i = 0; i < 32; i++) CHECK(back[i] == (float)(i * 5 % 128));
  expect(async_kernel, 1, 32, 512, "kernel planted", "uninitialised", f, from, view(f.data() + 128, 128), false);
  // Where nothing is there, zeroes come and nothing is read, here beyond the end.
  expect(async_part_kernel, 1, 32, 512, "", nullptr, f, view((const float *)f.data(), 40), view(f.data() + 128, 128));
  float all[128];
  cudaMemcpyAsync(all, f.data() + 128, sizeof all, cudaMemcpyDeviceToHost, f.stream);
  for (int i = 0; i < 128; i++) CHECK(all[i] == (i < 40 ? (float)i : 0));
}

void streams() {
  fixture f;
  cudaEvent_t event;
  cudaStream_t other = nullptr;
  CHECK(cudaEventCreate(&event) == cudaSuccess && cudaStreamCreate(&other) == cudaSuccess);
  f.write_all();
  CHECK(cudaEventRecord(event, f.stream) == cudaSuccess && cudaStreamWaitEvent(other, event, 0) == cudaSuccess);
  launch(write_at, {"write", 1, 32, 0}, other, f.all(), 3, 0u);
  float value = 0;
  CHECK(cudaMemcpyAsync(&value, f.data() + 3, sizeof value, cudaMemcpyDeviceToHost, other) == cudaSuccess);
  CHECK(cudaStreamSynchronize(other) == cudaSuccess && value == 1);
  CHECK(cudaEventDestroy(event) == cudaSuccess && cudaStreamDestroy(other) == cudaSuccess);
  CHECK(cudaStreamSynchronize(other) == cudaErrorInvalidValue);
  forget_error();
  void *memory = nullptr;
  CHECK(cudaMalloc(&memory, (size_t)1 << 50) == cudaErrorMemoryAllocation && !memory);
  CHECK(cudaGetLastError() == cudaSuccess);  // running out is no failure of the device
  CHECK(cudaFree(&value) == cudaErrorInvalidValue);
}

__global__ void add_from(device_pointer<const float> from, device_pointer<float> to) {
  to[threadIdx.x] += from[threadIdx.x];
}
// What is captured is not done before the graph is launched, and then each time with what stands in memory.
void graphs() {
  fixture f;
  f.write_all();
  void *pinned = nullptr;
  float got = 0, pageable[32] = {};
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t program = nullptr;
  CHECK(cudaMallocHost(&pinned, 32 * sizeof(float)) == cudaSuccess);
  float *source = static_cast<float *>(pinned);
  for (int i = 0; i < 32; i++) source[i] = 1;
  CHECK(cudaStreamBeginCapture(f.stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
  cudaMemcpyAsync(f.memory, pinned, 32 * sizeof(float), cudaMemcpyHostToDevice, f.stream);
  launch(add_from, {"add", 1, 32, 0}, f.stream, view((const float *)f.data(), 32), view(f.data() + 32, 32));
  CHECK(cudaStreamEndCapture(f.stream, &graph) == cudaSuccess);
  CHECK(cudaGraphInstantiate(&program, graph, 0) == cudaSuccess && cudaGraphDestroy(graph) == cudaSuccess);
  auto sum = [&] {
    cudaMemcpyAsync(&got, f.data() + 40, sizeof got, cudaMemcpyDeviceToHost, f.stream);
    return got;
  };
  CHECK(sum() == 0);
  CHECK(cudaGraphLaunch(program, f.stream) == cudaSuccess && sum() == 1);
  for (int i = 0; i < 32; i++) source[i] = 10;
  CHECK(cudaGraphLaunch(program, f.stream) == cudaSuccess && sum() == 11);
  CHECK(cudaGraphExecDestroy(program) == cudaSuccess);
  CHECK(cudaGraphLaunch(program, f.stream) == cudaErrorInvalidValue);
  forget_error();
  void *memory = nullptr;
  auto refused = [&](const char *what) {
    const char *text = cudaGetErrorString(cudaGetLastError());
    if (!CHECK(cudaGetLastError() == cudaErrorStreamCaptureUnsupported && strstr(text, what))) printf("# %s\n", text);
    forget_error();
  };
  CHECK(cudaStreamBeginCapture(f.stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
  cudaMemcpyAsync(f.memory, pageable, sizeof pageable, cudaMemcpyHostToDevice, f.stream);
  refused("pageable memory");
  cudaMalloc(&memory, 64);
  refused("cudaMalloc");
  cudaStreamSynchronize(f.stream);
  refused("cudaStreamSynchronize");
  CHECK(cudaStreamEndCapture(f.stream, &graph) == cudaSuccess && cudaGraphDestroy(graph) == cudaSuccess);
  CHECK(cudaFreeHost(pinned) == cudaSuccess);
}

}  // namespace

int main() {
  RUN(out_of_bounds);
  RUN(uninitialised);
  RUN(divergent_barriers);
  RUN(races);
  RUN(launches);
  RUN(warps);
  RUN(tensor_core);
  RUN(fragments);
  RUN(matrices);
  RUN(asynchronous_copies);
  RUN(streams);
  RUN(graphs);
  return check_end();
}
