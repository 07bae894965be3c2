/* SPDX-License-Identifier: Apache-2.0
 *
 * This machine: processor, memory and clock; files and names. All functions may be called by any
 * thread. */
#ifndef FINETUNE_MACHINE_H
#define FINETUNE_MACHINE_H

#include "finetune.h"

#ifdef __cplusplus
extern "C" {
#endif

int ft_cpu_count(void); /* cores that this process may use */
/* Bytes of memory that this process may use: the machine's, or its control group's if that is less.
 */
uint64_t ft_memory_bytes(void);
/* "avx512", "avx2", "neon" or "c": the widest kernels in use. The environment's FINETUNE_CPU limits
 * it. */
const char *ft_cpu_name(void);
/* The processor's instructions that kernels use for products of bfloat16: "AMX_BF16",
 * "AVX512_BF16" or, on ARM, "FEAT_BF16". NULL: it has none. Then FT_PRECISION_BF16 is computed in
 * float32 from rounded values, which takes longer than FT_PRECISION_F32.
 *
 * The first function of the library that needs to know the processor asks Linux for permission to
 * use AMX, if the processor has it. From then on sigaltstack() refuses stacks that are too small
 * for the tiles (getauxval(AT_MINSIGSTKSZ)). FINETUNE_CPU=avx512_bf16 prevents that. */
const char *ft_cpu_bf16(void);
/* Seconds of a clock that is never set back. Only differences have a meaning. */
double ft_clock(void);

/* Checks before long work that a file can be made or replaced at `path`: its directory exists and
 * is writable, `path` itself does not exist or is a regular file. Changes nothing. */
int ft_output_check(const char *path, struct ft_error *err);

/* Bytes of the UTF-8 character that `text` begins with (1 for its terminating NUL). 0: invalid by
 * RFC 3629. File names may be any bytes. */
int ft_utf8_length(const char *text);
/* Bytes of the control character that `text` begins with. 0: it begins with none. These are U+0001
 * to U+001F, U+007F to U+009F, line and paragraph separators, and the characters that set the
 * direction of text (U+202E and others), which make a name look like another one. */
int ft_control_length(const char *text);
/* Replaces every control character except those in `kept` by one '?', and returns `text`. */
char *ft_text_plain(char *text, const char *kept);

/* The text of a tree that was built with cJSON; the tree is deleted. Must be freed with free().
 * Returns NULL if an allocation of cJSON has failed in this thread since the last call, because the
 * tree may be incomplete. The library sets cJSON's allocator (cJSON_InitHooks) when it is loaded;
 * it is compatible with malloc and free. */
struct cJSON;
char *ft_json_text(struct cJSON *json, bool indented);

#ifdef __cplusplus
}
#endif
#endif
