/* What the commands share. Standard output is the result; progress and messages go to standard
 * error. */
#ifndef FT_CLI_CLI_H
#define FT_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "finetune-tools.h"
#include "options.h"

/* Exit status: 0 done, 1 failed, 2 usage, 3 done, but some pictures were bad or a threshold was
 * missed. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_PARTLY = 3 };

/* ---- messages (message.c) -------------------------------------------------------------------- */

void message_init(const struct settings *settings);
/* "finetune: ..." on standard error, always */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* the same, not with --quiet */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void hush_notes(bool hush); /* until told otherwise: what they would say was said */
/* A line of what a long run does and made ("features   1000/1000"): not with --quiet or --json. */
void report(const char *key, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A line of what was asked for: not with --json. */
void result(const char *key, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A text of the library's on standard output; frees it. -1: it is NULL. */
int print_text(char *text);
/* Names in files and models may hold any bytes. All of the above print control characters as '?'
 * (ft_text_plain), because they could steer the terminal. */
/* says it; returns EXIT_FAILED */
int fail(const struct ft_error *err);
/* Fills err with the message and the reason that errno holds; returns FT_EIO. */
int refuse_errno(struct ft_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "512 kB", "10.2 GB" into text [24]; returns it. */
const char *size_text(uint64_t bytes, char *text);

/* Flushes standard output; false once a write has failed, for instance because the reader left. */
bool flush_output(void);
/* The result is not complete, for the reason that errno names by `number`: `finish` says so. */
void output_failed(int number);
/* The exit status of the program: `status`, or failed where standard output could not be written; a
 * reader that left is no error. */
int finish(int status);

/* Being asked to stop (signals.c): from _catch to _release SIGINT, SIGTERM and SIGHUP are only
 * remembered. */
void signals_catch(void);
void signals_release(void);
int signals_caught(void);  /* the signal, or 0 */
void signals_forget(void); /* it was all that was wanted: the program ends as if by itself */
void signals_die(void);    /* of the signal that was caught, if there was one */

/* Progress: "features  312/1000 · 240 images/s · 3 s left", redrawn on a terminal, silent
 * elsewhere. */
struct progress {
    const char *what, *unit; /* "features", "images" */
    size_t total;            /* 0: unknown */
    double start, shown;
    bool drawn;
};
void progress_begin(struct progress *progress, const char *what, const char *unit, size_t total);
void progress_step(struct progress *progress, size_t done);
double progress_end(struct progress *progress); /* seconds since begin; clears the line */
double seconds_now(void);

/* ---- pictures to features (pictures.c) ------------------------------------------------------- */

struct bad_picture {
    char *path, *reason;
};

struct pictures {
    struct ft_features *features; /* the good ones */
    struct bad_picture *bad;      /* [n_bad] */
    size_t n_bad;
    double seconds;
    struct ft_cache_counts cache;
};
/* Features of all rows of a dataset, with progress; in a scratch file, and said, where they take
 * more than settings->memory. */
int pictures_extract(const struct ft_backbone *backbone, const struct ft_dataset *dataset,
                     const struct settings *settings, struct pictures *out, struct ft_error *err);
void pictures_release(struct pictures *pictures);
/* 0 where the features of `dataset` may be in memory; else says that `what` needs them there. */
int pictures_check_memory(const struct ft_backbone *backbone, const struct ft_dataset *dataset,
                          const struct settings *settings, const char *what, struct ft_error *err);
/* Lists bad pictures on standard error. */
void pictures_list_bad(const struct pictures *pictures);
/* What a folder holds beside pictures of classes. */
void dataset_notes(const struct ft_dataset *dataset, const char *dir);
void extract_options(const struct settings *settings, struct ft_extract_options *out);
/* The cache that the settings ask for; NULL, after a note, where there is none. cache_close notes
 * what went wrong meanwhile. */
struct ft_cache *cache_open(const struct settings *settings);
struct ft_cache_counts cache_close(struct ft_cache *cache);
/* What the options say of a network, and what there is to say about it once it is open. */
void backbone_options(const struct settings *settings, struct ft_backbone_options *out);
void backbone_notes(const struct ft_backbone *backbone, const char *path);
int backbone_open(const struct settings *settings, struct ft_backbone **out, struct ft_error *err);
int model_open(const struct settings *settings, struct ft_model **out, struct ft_error *err);

/* ---- JSON (json.c): valid UTF-8 whatever files are called ------------------------------------ */

struct cJSON;
void json_put_string(FILE *to, const char *string);
void json_print(struct cJSON *json); /* one line on standard output; deletes it */
int json_print_text(char *text);     /* the same of a text; frees it. -1: it is NULL */

#endif
