// oneDNN's C API as version 3 has it, under names that gemm_onednn.c uses with onednn_2.h too. Memory descriptors are
// the library's, held by pointer; a primitive is described in one call.
#pragma once
#include <oneapi/dnnl/dnnl.h>

typedef const_dnnl_memory_desc_t descriptor_pointer;

// What the library's own functions take.
static inline descriptor_pointer descriptor(const dnnl_memory_desc_t *of) { return *of; }

static inline dnnl_status_t descriptor_strided(dnnl_memory_desc_t *out, dnnl_data_type_t type, const dnnl_dims_t sizes,
                                               const dnnl_dims_t strides) {
  return dnnl_memory_desc_create_with_strides(out, 2, sizes, type, strides);
}

// A matrix whose layout is the library's to choose.
static inline dnnl_status_t descriptor_any(dnnl_memory_desc_t *out, dnnl_data_type_t type, const dnnl_dims_t sizes) {
  return dnnl_memory_desc_create_with_tag(out, 2, sizes, type, dnnl_format_tag_any);
}

static inline void descriptor_free(dnnl_memory_desc_t *descriptor) {
  if (*descriptor) dnnl_memory_desc_destroy(*descriptor);
  *descriptor = NULL;
}

// A copy of what `of` describes; freed with descriptor_free.
static inline dnnl_status_t descriptor_copy(dnnl_memory_desc_t *out, descriptor_pointer of) {
  return dnnl_memory_desc_clone(out, of);
}

// In blocks, not merely rows or columns.
static inline bool descriptor_in_blocks(const dnnl_memory_desc_t *of) {
  dnnl_format_kind_t kind = dnnl_format_kind_undef;
  int blocks = 0;
  return dnnl_memory_desc_query(*of, dnnl_query_format_kind, &kind) == dnnl_success && kind == dnnl_blocked &&
         dnnl_memory_desc_query(*of, dnnl_query_inner_nblks_s32, &blocks) == dnnl_success && blocks > 0;
}

static inline dnnl_status_t matmul_create(dnnl_primitive_desc_t *out, dnnl_engine_t engine, const dnnl_memory_desc_t *a,
                                          const dnnl_memory_desc_t *b, const dnnl_memory_desc_t *c,
                                          const_dnnl_primitive_attr_t attributes) {
  return dnnl_matmul_primitive_desc_create(out, engine, *a, *b, NULL, *c, attributes);
}

static inline dnnl_status_t append_sum(dnnl_post_ops_t operations) {
  return dnnl_post_ops_append_sum(operations, 1, 0, dnnl_data_type_undef);
}
