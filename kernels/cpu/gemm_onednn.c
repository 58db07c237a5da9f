// Matrix products through oneDNN's C API; what its versions 2 and 3 do differently is in onednn_2.h and onednn_3.h.
// Primitives are costly to make, so they are kept by shape for the life of the device, with their memory objects, into
// which each call puts its pointers.
#include <oneapi/dnnl/dnnl_version.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "kernels/cpu/gemm_library.h"
#include "kernels/cpu/parallel.h"
#if DNNL_VERSION_MAJOR >= 3
#include "kernels/cpu/onednn_3.h"
#else
#include "kernels/cpu/onednn_2.h"
#endif

bool onednn_there(void) { return true; }

struct product {
  struct gemm shape;  // the key
  dnnl_primitive_t primitive;
  dnnl_memory_t a, b, c;
  bool optimized;  // not oneDNN's reference implementation
  struct product *next;
};
// The layout in which oneDNN wants a B, and the reorder that brings one there.
struct layout {
  enum gemm_form form;
  int64_t n, k;
  enum dtype dtype;
  dnnl_memory_desc_t packed;
  bool worthwhile;  // blocked, not merely the plain layout again
  dnnl_primitive_t reorder, back;
  dnnl_memory_t from, to;
  struct layout *next;
};
#define BUCKETS 256
struct onednn {
  dnnl_engine_t engine;
  dnnl_stream_t stream;
  int threads;
  bool bfloat16;
  struct product *buckets[BUCKETS];
  struct layout *layouts;
};

static const char *status_name(dnnl_status_t status) {
  switch (status) {
    case dnnl_success:
      return "success";
    case dnnl_out_of_memory:
      return "out of memory";
    case dnnl_invalid_arguments:
      return "invalid arguments";
    case dnnl_unimplemented:
      return "not implemented on this CPU";
    default:
      return "runtime error";
  }
}

static unsigned hash_of(const struct gemm *shape) {
  uint64_t hash = 14695981039346656037u;
  const int64_t parts[] = {shape->form, shape->m,   shape->n,   shape->k,          shape->in,    shape->out,
                           shape->lda,  shape->ldb, shape->ldc, shape->accumulate, shape->packed};
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) hash = (hash ^ (uint64_t)parts[i]) * 1099511628211u;
  return (unsigned)(hash >> 32) % BUCKETS;
}

static bool same(const struct gemm *x, const struct gemm *y) {
  return x->form == y->form && x->m == y->m && x->n == y->n && x->k == y->k && x->in == y->in && x->out == y->out &&
         x->lda == y->lda && x->ldb == y->ldb && x->ldc == y->ldc && x->accumulate == y->accumulate &&
         x->packed == y->packed;
}

static void product_free(struct product *product) {
  if (product->a) dnnl_memory_destroy(product->a);
  if (product->b) dnnl_memory_destroy(product->b);
  if (product->c) dnnl_memory_destroy(product->c);
  if (product->primitive) dnnl_primitive_destroy(product->primitive);
  free(product);
}

static dnnl_data_type_t type_of(enum dtype dtype) { return dtype == DTYPE_BFLOAT16 ? dnnl_bf16 : dnnl_f32; }

// A matrix of rows x columns whose stored rows are `stride` apart; transposed when its stored rows are our columns.
static dnnl_status_t matrix(dnnl_memory_desc_t *out, enum dtype dtype, int64_t rows, int64_t columns, int64_t stride,
                            bool transposed) {
  dnnl_dims_t sizes = {rows, columns}, strides = {transposed ? 1 : stride, transposed ? stride : 1};
  return descriptor_strided(out, type_of(dtype), sizes, strides);
}

static void layout_free(struct layout *layout) {
  if (layout->from) dnnl_memory_destroy(layout->from);
  if (layout->to) dnnl_memory_destroy(layout->to);
  if (layout->reorder) dnnl_primitive_destroy(layout->reorder);
  if (layout->back) dnnl_primitive_destroy(layout->back);
  descriptor_free(&layout->packed);
  free(layout);
}

// Whether oneDNN has more than its reference implementation for a primitive; that one takes microseconds for each
// element of a sum.
static bool optimized(const_dnnl_primitive_desc_t described) {
  const char *name = NULL;
  if (dnnl_primitive_desc_query(described, dnnl_query_impl_info_str, 0, (void *)&name) != dnnl_success) return true;
  return !name || strncmp(name, "ref", 3) != 0;
}

#define TRY(call) \
  if ((status = (call)) != dnnl_success) goto end

// Asks a product with a free choice of B's layout what it would choose, and makes the reorders there and back. The
// layout does not depend on the rows of A; those asked about are those of a usual batch.
static dnnl_status_t layout_make(struct onednn *library, struct layout *layout) {
  dnnl_memory_desc_t a = {0}, b = {0}, plain = {0}, c = {0};
  dnnl_dims_t sizes = {layout->k, layout->n};
  dnnl_primitive_desc_t product = NULL, reorder = NULL, back = NULL;
  dnnl_status_t status;
  bool transposed = layout->form == GEMM_NT;
  TRY(matrix(&a, layout->dtype, 4096, layout->k, layout->k, false));
  TRY(matrix(&plain, layout->dtype, layout->k, layout->n, transposed ? layout->k : layout->n, transposed));
  TRY(descriptor_any(&b, type_of(layout->dtype), sizes));
  TRY(matrix(&c, DTYPE_FLOAT32, 4096, layout->n, layout->n, false));
  TRY(matmul_create(&product, library->engine, &a, &b, &c, NULL));
  TRY(descriptor_copy(&layout->packed, dnnl_primitive_desc_query_md(product, dnnl_query_weights_md, 0)));
  layout->worthwhile = optimized(product) && descriptor_in_blocks(&layout->packed);
  if (!layout->worthwhile) goto end;
  descriptor_pointer from = descriptor(&plain), to = descriptor(&layout->packed);
  TRY(dnnl_reorder_primitive_desc_create(&reorder, from, library->engine, to, library->engine, NULL));
  TRY(dnnl_primitive_create(&layout->reorder, reorder));
  TRY(dnnl_reorder_primitive_desc_create(&back, to, library->engine, from, library->engine, NULL));
  TRY(dnnl_primitive_create(&layout->back, back));
  TRY(dnnl_memory_create(&layout->from, from, library->engine, DNNL_MEMORY_NONE));
  TRY(dnnl_memory_create(&layout->to, to, library->engine, DNNL_MEMORY_NONE));
end:
  if (product) dnnl_primitive_desc_destroy(product);
  if (reorder) dnnl_primitive_desc_destroy(reorder);
  if (back) dnnl_primitive_desc_destroy(back);
  descriptor_free(&a);
  descriptor_free(&b);
  descriptor_free(&plain);
  descriptor_free(&c);
  return status;
}

// The layout of that B, made on first use; NULL with the status when oneDNN has none.
static struct layout *layout_find(struct onednn *library, enum gemm_form form, int64_t n, int64_t k, enum dtype dtype,
                                  dnnl_status_t *status) {
  for (struct layout *layout = library->layouts; layout; layout = layout->next)
    if (layout->form == form && layout->n == n && layout->k == k && layout->dtype == dtype) return layout;
  parallel_set_library_threads(library->threads);
  struct layout *layout = memory_get(sizeof *layout);
  layout->form = form;
  layout->n = n;
  layout->k = k;
  layout->dtype = dtype;
  if ((*status = layout_make(library, layout)) != dnnl_success) {
    layout_free(layout);
    return NULL;
  }
  layout->next = library->layouts;
  return library->layouts = layout;
}

size_t onednn_packed_bytes(struct onednn *library, enum gemm_form form, int64_t n, int64_t k, enum dtype dtype) {
  dnnl_status_t status;
  const struct layout *layout = layout_find(library, form, n, k, dtype, &status);
  return layout && layout->worthwhile ? dnnl_memory_desc_get_size(descriptor(&layout->packed)) : 0;
}

// Between the two layouts of a B: packs, or the other way round.
static bool repack(struct onednn *library, const struct gemm *b_of, const void *plain, const void *packed, bool back,
                   struct error *error) {
  dnnl_status_t status = dnnl_unimplemented;
  const struct layout *layout = layout_find(library, b_of->form, b_of->n, b_of->k, b_of->in, &status);
  if (!layout || !layout->worthwhile) goto end;
  parallel_set_library_threads(library->threads);
  TRY(dnnl_memory_set_data_handle(layout->from, (void *)(uintptr_t)plain));
  TRY(dnnl_memory_set_data_handle(layout->to, (void *)(uintptr_t)packed));
  dnnl_exec_arg_t arguments[] = {{back ? DNNL_ARG_TO : DNNL_ARG_FROM, layout->from},
                                 {back ? DNNL_ARG_FROM : DNNL_ARG_TO, layout->to}};
  TRY(dnnl_primitive_execute(back ? layout->back : layout->reorder, library->stream, 2, arguments));
  TRY(dnnl_stream_wait(library->stream));
  return true;
end:
  return error_set(error, EXIT_ENVIRONMENT, "oneDNN cannot %s a %s matrix of %lld x %lld: %s", back ? "unpack" : "pack",
                   dtype_name(b_of->in), (long long)b_of->k, (long long)b_of->n, status_name(status));
}

bool onednn_pack(struct onednn *library, enum gemm_form form, int64_t n, int64_t k, enum dtype dtype, const void *b,
                 void *packed, struct error *error) {
  return repack(library, &(struct gemm){.form = form, .n = n, .k = k, .in = dtype}, b, packed, false, error);
}

bool onednn_unpack(struct onednn *library, enum gemm_form form, int64_t n, int64_t k, enum dtype dtype,
                   const void *packed, void *b, struct error *error) {
  return repack(library, &(struct gemm){.form = form, .n = n, .k = k, .in = dtype}, b, packed, true, error);
}

static dnnl_status_t product_make(struct onednn *library, struct product *product) {
  const struct gemm *shape = &product->shape;
  dnnl_memory_desc_t a = {0}, b = {0}, c = {0};
  dnnl_primitive_desc_t made = NULL;
  dnnl_primitive_attr_t attributes = NULL;
  dnnl_post_ops_t sum = NULL;
  dnnl_status_t status;
  TRY(matrix(&a, shape->in, shape->m, shape->k, shape->lda, shape->form == GEMM_TN));
  if (shape->packed) {
    const struct layout *layout = layout_find(library, shape->form, shape->n, shape->k, shape->in, &status);
    if (!layout) goto end;
    TRY(descriptor_copy(&b, descriptor(&layout->packed)));
  } else {
    TRY(matrix(&b, shape->in, shape->k, shape->n, shape->ldb, shape->form == GEMM_NT));
  }
  TRY(matrix(&c, shape->out, shape->m, shape->n, shape->ldc, false));
  TRY(dnnl_primitive_attr_create(&attributes));
  if (shape->accumulate) {
    TRY(dnnl_post_ops_create(&sum));
    TRY(append_sum(sum));
    TRY(dnnl_primitive_attr_set_post_ops(attributes, sum));
  }
  TRY(matmul_create(&made, library->engine, &a, &b, &c, attributes));
  product->optimized = optimized(made);
  TRY(dnnl_primitive_create(&product->primitive, made));
  TRY(dnnl_memory_create(&product->a, descriptor(&a), library->engine, DNNL_MEMORY_NONE));
  TRY(dnnl_memory_create(&product->b, descriptor(&b), library->engine, DNNL_MEMORY_NONE));
  TRY(dnnl_memory_create(&product->c, descriptor(&c), library->engine, DNNL_MEMORY_NONE));
end:
  if (made) dnnl_primitive_desc_destroy(made);
  if (attributes) dnnl_primitive_attr_destroy(attributes);
  if (sum) dnnl_post_ops_destroy(sum);
  descriptor_free(&a);
  descriptor_free(&b);
  descriptor_free(&c);
  return status;
}

#undef TRY

// A column of a matrix, `stride` elements apart, as `count` elements side by side. The caller frees it.
static void *column(const void *from, int64_t count, int64_t stride, enum dtype dtype) {
  size_t item = dtype_bytes(dtype);
  char *made = memory_get((size_t)count * item);
  for (int64_t i = 0; i < count; i++)
    memcpy(made + (size_t)i * item, (const char *)from + (size_t)(i * stride) * item, item);
  return made;
}

// The product of that shape, made on first use; NULL with the status when oneDNN has none.
static struct product *product_find(struct onednn *library, const struct gemm *gemm, dnnl_status_t *status) {
  parallel_set_library_threads(library->threads);
  struct product **bucket = &library->buckets[hash_of(gemm)];
  for (struct product *product = *bucket; product; product = product->next)
    if (same(&product->shape, gemm)) return product;
  struct product *product = memory_get(sizeof *product);
  product->shape = *gemm;
  if ((*status = product_make(library, product)) != dnnl_success) {
    product_free(product);
    return NULL;
  }
  product->next = *bucket;
  return *bucket = product;
}

bool onednn_optimized(struct onednn *library, const struct gemm *gemm) {
  dnnl_status_t status;
  const struct product *product = product_find(library, gemm, &status);
  return !product || product->optimized;
}

static bool run(struct onednn *library, const struct gemm *gemm, const void *a, const void *b, void *c,
                struct error *error) {
  dnnl_status_t status;
  const struct product *product = product_find(library, gemm, &status);
  if (!product) goto failed;
  if ((status = dnnl_memory_set_data_handle(product->a, (void *)(uintptr_t)a)) != dnnl_success ||
      (status = dnnl_memory_set_data_handle(product->b, (void *)(uintptr_t)b)) != dnnl_success ||
      (status = dnnl_memory_set_data_handle(product->c, c)) != dnnl_success)
    goto failed;
  dnnl_exec_arg_t arguments[] = {
      {DNNL_ARG_SRC, product->a}, {DNNL_ARG_WEIGHTS, product->b}, {DNNL_ARG_DST, product->c}};
  if ((status = dnnl_primitive_execute(product->primitive, library->stream, 3, arguments)) != dnnl_success ||
      (status = dnnl_stream_wait(library->stream)) != dnnl_success)
    goto failed;
  return true;
failed:
  return error_set(error, EXIT_ENVIRONMENT, "oneDNN cannot multiply %s matrices of %lld x %lld x %lld: %s",
                   dtype_name(gemm->in), (long long)gemm->m, (long long)gemm->n, (long long)gemm->k,
                   status_name(status));
}

// oneDNN 3.7 with AVX512 takes a factor or a result of one row or one column whose elements lie apart for one whose
// elements lie side by side, so such columns are copied.
bool onednn_run(struct onednn *library, const struct gemm *gemm, const void *a, const void *b, void *c,
                struct error *error) {
  bool a_apart = gemm->form == GEMM_TN && gemm->m == 1 && gemm->lda > 1;
  bool b_apart = gemm->form != GEMM_NT && gemm->n == 1 && gemm->ldb > 1 && !gemm->packed;
  bool c_apart = gemm->n == 1 && gemm->ldc > 1;
  if (!a_apart && !b_apart && !c_apart) return run(library, gemm, a, b, c, error);
  struct gemm straight = *gemm;
  void *a_column = a_apart ? column(a, gemm->k, gemm->lda, gemm->in) : NULL;
  void *b_column = b_apart ? column(b, gemm->k, gemm->ldb, gemm->in) : NULL;
  char *c_column = c_apart ? column(c, gemm->m, gemm->ldc, gemm->out) : NULL;
  if (a_apart) straight.lda = 1;
  if (b_apart) straight.ldb = 1;
  if (c_apart) straight.ldc = 1;
  bool fine = run(library, &straight, a_apart ? a_column : a, b_apart ? b_column : b, c_apart ? c_column : c, error);
  size_t item = dtype_bytes(gemm->out);
  for (int64_t i = 0; i < gemm->m && c_apart && fine; i++)
    memcpy((char *)c + (size_t)(i * gemm->ldc) * item, c_column + (size_t)i * item, item);
  free(a_column);
  free(b_column);
  free(c_column);
  return fine;
}

// Of x86's: on Arm the library answers with bits of other meanings.
static bool has_isa(dnnl_cpu_isa_t wanted) {
#if defined(__x86_64__)
  dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
  return isa != 0 && (isa & wanted) == wanted;  // 0: the library does not say
#else
  return false;
#endif
}

// NULL: no name is known for it.
static const char *isa_in_use(void) {
  static const struct {
    dnnl_cpu_isa_t isa;
    const char *name;
  } names[] = {{dnnl_cpu_isa_avx512_core_amx, "avx512_core_amx"},
               {dnnl_cpu_isa_avx512_core_bf16, "avx512_core_bf16"},
               {dnnl_cpu_isa_avx512_core_vnni, "avx512_core_vnni"},
               {dnnl_cpu_isa_avx512_core, "avx512_core"},
               {dnnl_cpu_isa_avx2, "avx2"},
               {dnnl_cpu_isa_avx, "avx"},
               {dnnl_cpu_isa_sse41, "sse41"}};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (has_isa(names[i].isa)) return names[i].name;
  return NULL;
}

struct onednn *onednn_open(int threads, struct error *error) {
  struct onednn *library = memory_get(sizeof *library);
  library->threads = threads;
  parallel_set_library_threads(threads);
  if (dnnl_engine_create(&library->engine, dnnl_cpu, 0) != dnnl_success ||
      dnnl_stream_create(&library->stream, library->engine, dnnl_stream_default_flags) != dnnl_success) {
    onednn_close(library);
    error_set(error, EXIT_ENVIRONMENT, "oneDNN cannot open the CPU");
    return NULL;
  }
  // Some CPUs have no bfloat16 product at all: making a small one tells.
  struct product probe = {.shape = {.form = GEMM_NT,
                                    .m = 16,
                                    .n = 16,
                                    .k = 16,
                                    .in = DTYPE_BFLOAT16,
                                    .out = DTYPE_FLOAT32,
                                    .lda = 16,
                                    .ldb = 16,
                                    .ldc = 16}};
  struct product *trial = memory_get(sizeof *trial);
  *trial = probe;
  library->bfloat16 = product_make(library, trial) == dnnl_success;
  product_free(trial);
  return library;
}

void onednn_close(struct onednn *library) {
  for (int bucket = 0; bucket < BUCKETS; bucket++)
    for (struct product *product = library->buckets[bucket], *next; product; product = next) {
      next = product->next;
      product_free(product);
    }
  for (struct layout *layout = library->layouts, *next; layout; layout = next) {
    next = layout->next;
    layout_free(layout);
  }
  if (library->stream) dnnl_stream_destroy(library->stream);
  if (library->engine) dnnl_engine_destroy(library->engine);
  free(library);
}

void onednn_describe(const struct onednn *library, struct text *out) {
  const dnnl_version_t *version = dnnl_version();
  const char *isa = isa_in_use();
  text_format(out, "oneDNN %d.%d.%d", version->major, version->minor, version->patch);
  if (isa) text_format(out, " (%s)", isa);
}

bool onednn_bfloat16_supported(const struct onednn *library) { return library->bfloat16; }

bool onednn_bfloat16_fast(const struct onednn *library) {
  return library->bfloat16 && has_isa(dnnl_cpu_isa_avx512_core_amx);
}
