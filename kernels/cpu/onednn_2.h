// oneDNN's C API as version 2 has it, under names that gemm_onednn.c uses with onednn_3.h too. Memory descriptors are
// structs of the caller's; an operation is described before a primitive is.
#pragma once
#include <oneapi/dnnl/dnnl.h>

typedef const dnnl_memory_desc_t *descriptor_pointer;

// What the library's own functions take.
static inline descriptor_pointer descriptor(const dnnl_memory_desc_t *of) { return of; }

static inline dnnl_status_t descriptor_strided(dnnl_memory_desc_t *out, dnnl_data_type_t type, const dnnl_dims_t sizes,
                                               const dnnl_dims_t strides) {
  return dnnl_memory_desc_init_by_strides(out, 2, sizes, type, strides);
}

// A matrix whose layout is the library's to choose.
static inline dnnl_status_t descriptor_any(dnnl_memory_desc_t *out, dnnl_data_type_t type, const dnnl_dims_t sizes) {
  return dnnl_memory_desc_init_by_tag(out, 2, sizes, type, dnnl_format_tag_any);
}

static inline void descriptor_free(dnnl_memory_desc_t *descriptor) { (void)descriptor; }

// A copy of what `of` describes; freed with descriptor_free.
static inline dnnl_status_t descriptor_copy(dnnl_memory_desc_t *out, descriptor_pointer of) {
  *out = *of;
  return dnnl_success;
}

// In blocks, not merely rows or columns.
static inline bool descriptor_in_blocks(const dnnl_memory_desc_t *of) {
  return of->format_kind == dnnl_blocked && of->format_desc.blocking.inner_nblks > 0;
}

static inline dnnl_status_t matmul_create(dnnl_primitive_desc_t *out, dnnl_engine_t engine, const dnnl_memory_desc_t *a,
                                          const dnnl_memory_desc_t *b, const dnnl_memory_desc_t *c,
                                          const_dnnl_primitive_attr_t attributes) {
  dnnl_matmul_desc_t operation;
  dnnl_status_t status = dnnl_matmul_desc_init(&operation, a, b, NULL, c);
  return status == dnnl_success ? dnnl_primitive_desc_create(out, &operation, attributes, engine, NULL) : status;
}

static inline dnnl_status_t append_sum(dnnl_post_ops_t operations) { return dnnl_post_ops_append_sum(operations, 1); }
