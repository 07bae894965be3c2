/* Blocks: inverted residuals run depth first. An inverted residual is a convolution that makes many
 * channels (the wide map), a depthwise convolution, and a pointwise convolution that makes few
 * channels (M. Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, 2018).
 *
 * If the wide map does not fit the second-level cache, the three steps go through bands of output
 * rows. For one panel of channels at a time, the first step writes the rows of the wide map that a
 * band needs to a scratch with a border of zeros, and the depthwise step reads them there. After
 * all panels, the band is projected. Rows that the next band needs too are kept.
 *
 * If another layer precedes the projection (squeeze and excitation needs the whole map), the block
 * is the first two steps. A large map that a pool only halves (VGG's first) is a block of two steps
 * too, with all channels at a time. The kernel rows of the steps do the work on maps in the
 * scratch, so every value is equal to that of steps that run one after the other. */
#define _POSIX_C_SOURCE 200809L
#include <string.h>

#include "base/cpu.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "graph/steps.h"

enum {
    WIDE_FROM = 1 << 20,     /* bytes of the wide map from which bands are faster */
    HALVED_FROM = 8 << 20,   /* the same for a map that is halved: each band reads all weights */
    BAND_BYTES = 400 * 1024, /* of scratch for a band; 150 to 900 KB differ by 1 % */
    LINE = FT_ALIGN / sizeof(float),
    MOST_STEPS = 3
};

/* ---- finding blocks -------------------------------------------------------------------------- */

/* Returns whether the value is a whole buffer that only these two steps use. */
static bool private_value(const struct ft_plan *plan, const struct ft_value *v, int writer,
                          int reader)
{
    const struct ft_buffer *b = &plan->buffers[v->buffer];
    return b->first == writer && b->last == reader && v->y == 0 && v->x == 0 && v->channel == 0 &&
           v->h == b->h && v->w == b->w && v->c == b->c;
}

static bool pointwise(const struct ft_work *w)
{
    return w->kernel[0] == 1 && w->kernel[1] == 1 && w->stride[0] == 1 && w->stride[1] == 1 &&
           w->groups == 1;
}

static bool expands(const struct ft_plan *plan, int i)
{
    const struct ft_step *expand = &plan->steps[i], *depthwise = expand + 1;
    const struct ft_work *d = &depthwise->work;
    if (i + 1 >= plan->n_steps || expand->operation != FT_OP_CONVOLUTION ||
        depthwise->operation != FT_OP_DEPTHWISE)
        return false;
    /* 3x3 without a stride runs with Winograd's algorithm */
    const bool strided = expand->work.stride[0] > 1 && expand->work.groups == 1;
    const bool shaped = (pointwise(&expand->work) || strided) && d->multiplier == 1 &&
                        d->dilation[0] == 1 && d->dilation[1] == 1 && d->kernel[0] >= d->stride[0];
    /* the depthwise step may read a window that a padding layer made */
    const bool chained = depthwise->in.buffer == expand->out.buffer && depthwise->in.channel == 0 &&
                         depthwise->in.c == expand->out.c;
    return shaped && chained && depthwise->other.buffer < 0 &&
           private_value(plan, &expand->out, i, i + 1);
}

static bool projects(const struct ft_plan *plan, int i)
{
    const struct ft_step *depthwise = &plan->steps[i - 1], *project = &plan->steps[i];
    return i < plan->n_steps && project->operation == FT_OP_CONVOLUTION &&
           pointwise(&project->work) && project->in.buffer == depthwise->out.buffer &&
           project->in.y == 0 && project->in.x == 0 && project->in.h == depthwise->out.h &&
           project->in.w == depthwise->out.w && project->other.buffer != depthwise->out.buffer &&
           private_value(plan, &depthwise->out, i - 1, i);
}

/* A map that a 2 x 2 maximum pool halves. Bands may begin at any even row of the result: then they
 * have whole tiles of Winograd's algorithm. */
static bool halves(const struct ft_plan *plan, int i)
{
    const struct ft_step *s = &plan->steps[i];
    const struct ft_work *p = &s[1].work;
    return i + 1 < plan->n_steps && s[0].operation == FT_OP_CONVOLUTION &&
           s[1].operation == FT_OP_MAX_POOL && p->kernel[0] == 2 && p->kernel[1] == 2 &&
           p->stride[0] == 2 && p->stride[1] == 2 && p->pad[0] == 0 && p->pad[1] == 0 &&
           s[1].in.buffer == s[0].out.buffer && s[1].in.h == s[0].out.h &&
           s[1].in.w == s[0].out.w && s[1].in.c == s[0].out.c &&
           private_value(plan, &s[0].out, i, i + 1);
}

/* Returns the number of steps of the block that begins at step i, or 0 if there is none. */
static int block_steps(const struct ft_plan *plan, int i)
{
    if (plan->steps[i].other.buffer >= 0) /* only the last step of a block may have an addend */
        return 0;
    return halves(plan, i) ? 2 : !expands(plan, i) ? 0 : projects(plan, i + 2) ? 3 : 2;
}

/* The values between the steps need no memory in the arena. The input is read, and the output is
 * written, from the first band to the last. */
static void make_block(struct ft_plan *plan, int i, int n)
{
    struct ft_step *s = &plan->steps[i];
    struct ft_buffer *in = &plan->buffers[s->in.buffer], *out = &plan->buffers[s[n - 1].out.buffer];
    for (int k = 0; k < n; k++) {
        s[k].block = k + 1;
        s[k].block_ends = k + 1 == n;
        if (k + 1 < n) {
            plan->buffers[s[k].out.buffer].elsewhere = true;
            s[k].clear = -1;
        }
    }
    in->last = ft_max(in->last, i + n - 1);
    out->first = ft_min(out->first, i);
}

void ft_plan_blocks(struct ft_plan *plan, enum ft_plan_blocks wanted)
{
    if (wanted == FT_BLOCKS_NEVER || !ft_cpu_features()) /* OpenBLAS needs large products */
        return;
    for (int i = 0; i < plan->n_steps; i++) {
        const struct ft_value *wide = &plan->steps[i].out;
        const size_t bytes = (size_t)wide->h * (size_t)wide->w * (size_t)wide->c * sizeof(float),
                     enough = halves(plan, i) ? HALVED_FROM : WIDE_FROM;
        const int n = bytes >= enough || wanted == FT_BLOCKS_ALWAYS ? block_steps(plan, i) : 0;
        if (n) {
            make_block(plan, i, n);
            i += n - 1;
        }
    }
}

/* ---- bands ----------------------------------------------------------------------------------- */

struct bands {
    int rows;         /* of the output, in a band */
    int channels;     /* of the wide map, at a time */
    int top, left;    /* rows and columns of zeros that the second step reads before the wide map */
    int span;         /* rows of the wide map that a row of the output needs */
    int stride;       /* rows of the wide map from one row of the output to the next */
    int pixel;        /* floats from one pixel of the wide map to the next, in the scratch */
    size_t line;      /* floats of a row of the wide map */
    size_t thin_line; /* floats of a row of the output of the depthwise step */
    size_t wide, kept, thin; /* floats of the three parts of the scratch */
};

static int overlap(const struct bands *b)
{
    return b->span - b->stride;
}

static int wide_rows(const struct bands *b, int rows)
{
    return (rows - 1) * b->stride + b->span;
}

static struct bands plan_bands(const struct ft_step *s)
{
    const struct ft_work *d = &s[1].work;
    struct bands b = { .channels = s[0].row->channels ? s[0].row->channels : FT_CHANNELS_STEP,
                       .top = d->pad[0] - s[1].in.y,
                       .left = d->pad[1] - s[1].in.x,
                       .span = d->kernel[0],
                       .stride = d->stride[0] };
    const int right = (s[1].out.w - 1) * d->stride[1] + d->kernel[1] - b.left - s[0].out.w,
              h = s[1].out.h, c = s[1].out.c;
    if (s[1].operation == FT_OP_MAX_POOL)
        /* all at once: they share Winograd's transform of the input */
        b.channels = s[1].out.c;
    /* room for a wide last panel; for 32 channels the distance is an odd number of cache lines */
    b.pixel = b.channels + LINE;
    b.line = ft_round_up((size_t)(b.left + s[0].out.w + (right > 0 ? right : 0)) * (size_t)b.pixel,
                         LINE);
    b.thin_line =
        s[1].block_ends ? 0 : ft_round_up((size_t)s[1].out.w * (size_t)d->out.pixel, LINE);
    /* each of two halves may end with half a panel */
    b.kept = (size_t)((c / b.channels + 2) * overlap(&b)) * b.line;
    const size_t fixed = b.kept + (size_t)overlap(&b) * b.line,
                 each = (size_t)b.stride * b.line + b.thin_line;
    const int fit = fixed < BAND_BYTES / sizeof(float)
                        ? (int)((BAND_BYTES / sizeof(float) - fixed) / each)
                        : 0,
              n = (h + fit) / (fit + 1);
    /* as equal as possible, and even, as depthwise tiles have two rows */
    b.rows = (int)ft_round_up((size_t)((h + n - 1) / n), 2);
    b.wide = (size_t)wide_rows(&b, b.rows) * b.line;
    b.thin = (size_t)b.rows * b.thin_line;
    return b;
}

size_t ft_block_scratch(const struct ft_step *s)
{
    const struct bands b = plan_bands(s);
    size_t rows = 0; /* the steps run one after the other, so they share the rest */
    for (int i = 0; i == 0 || !s[i - 1].block_ends; i++)
        rows = ft_max_size(rows, s[i].row->scratch ? s[i].row->scratch(&s[i].work) : 0);
    return FT_PARTS_MAX * (b.wide + b.kept + b.thin + LINE) + 2 * rows;
}

/* ---- running --------------------------------------------------------------------------------- */

struct band_run {
    const struct ft_step *steps;
    struct bands bands;
    int y0, y1; /* rows of the block's output to compute */
    struct ft_work work[MOST_STEPS];
    float *wide, *kept, *thin;
    double *seconds; /* [steps of the block], added to; nullable */
};

static void run_rows(struct band_run *r, int step, int y0, int y1)
{
    const double start = r->seconds ? ft_clock() : 0;
    r->work[step].y0 = y0;
    r->work[step].y1 = y1;
    if (y0 < y1)
        r->steps[step].row->run(&r->work[step]);
    if (r->seconds)
        r->seconds[step] += ft_clock() - start;
}

/* Places a map so that its row y, channel c is at the start of the scratch. Rows and channels keep
 * their numbers. */
static void lay(struct ft_map *map, float *scratch, size_t line, int pixel, int y, int c)
{
    map->data = scratch - (ptrdiff_t)y * (ptrdiff_t)line - c;
    map->row = (ptrdiff_t)line;
    map->pixel = pixel;
}

/* Clears lines from..to of a scratch that begins with line `first`. */
static void clear_lines(const struct band_run *r, int first, int from, int to)
{
    if (from < to)
        memset(r->wide + (size_t)(from - first) * r->bands.line, 0,
               (size_t)(to - from) * r->bands.line * sizeof(float));
}

/* Clears the columns left and right of the wide map, which no step writes. */
static void clear_sides(const struct band_run *r)
{
    const struct bands *b = &r->bands;
    const size_t left = (size_t)b->left * (size_t)b->pixel,
                 right = left + (size_t)r->steps[0].out.w * (size_t)b->pixel;
    for (int y = 0; y < wide_rows(b, b->rows); y++) {
        float *line = r->wide + (size_t)y * b->line;
        memset(line, 0, left * sizeof *line);
        memset(line + right, 0, (b->line - right) * sizeof *line);
    }
}

/* Computes output rows y0..y1 of the second step for channels c0..c1 of the wide map, panel number
 * `panel`. Rows above and below the wide map are zeros. */
static void run_panel(struct band_run *r, int panel, int y0, int y1, int c0, int c1)
{
    const struct bands *b = &r->bands;
    const int h = r->steps[0].out.h, first = y0 * b->stride - b->top,
              end = first + wide_rows(b, y1 - y0);
    const bool begins = y0 == r->y0, ends = y1 == r->y1;
    const size_t keep = (size_t)overlap(b) * b->line;
    float *kept = r->kept + (size_t)panel * keep;
    const int from = begins ? first : first + overlap(b);
    if (!begins)
        memcpy(r->wide, kept, keep * sizeof *kept);
    clear_lines(r, first, from, ft_min(0, end));
    clear_lines(r, first, ft_max(h, from), end);
    lay(&r->work[0].out, r->wide + b->left * b->pixel, b->line, b->pixel, first, c0);
    lay(&r->work[1].in, r->wide, b->line, b->pixel, first, c0);
    if (!r->steps[1].block_ends)
        lay(&r->work[1].out, r->thin, b->thin_line, r->steps[1].work.out.pixel, y0, 0);
    r->work[0].c0 = r->work[1].c0 = c0;
    r->work[0].c1 = r->work[1].c1 = c1;
    run_rows(r, 0, ft_max(0, from), ft_min(h, end));
    run_rows(r, 1, y0, y1);
    if (!ends)
        memcpy(kept, r->wide + (size_t)(end - first) * b->line - keep, keep * sizeof *kept);
}

static int panel_end(const struct bands *b, int c, int c0)
{
    const int end = ft_channels_cut(c, b->channels, c0 + b->channels);
    return end > c0 ? end : c;
}

void ft_block_run(const struct ft_step *s, const struct ft_work *last, const struct ft_map *in,
                  double *seconds)
{
    struct band_run r = { .steps = s,
                          .bands = plan_bands(s),
                          .y0 = last->y0,
                          .y1 = last->y1,
                          .work = { s[0].work, s[1].work },
                          .seconds = seconds };
    const struct bands *b = &r.bands;
    const int c = s[1].out.c;
    r.work[s[1].block_ends ? 1 : 2] = *last;
    r.wide = last->scratch;
    r.kept = r.wide + b->wide;
    r.thin = r.kept + b->kept;
    r.work[0].in = *in;
    r.work[1].pad[0] = b->top;
    r.work[1].pad[1] = 0; /* the scratch begins with the border */
    for (int i = 0; i < MOST_STEPS; i++) {
        r.work[i].scratch = r.thin + b->thin;
        r.work[i].scratch_floats = last->scratch_floats - b->wide - b->kept - b->thin;
    }
    clear_sides(&r);
    for (int y0 = r.y0, y1; y0 < r.y1; y0 = y1) {
        y1 = ft_min(y0 + b->rows, r.y1);
        for (int c0 = 0, c1, panel = 0; c0 < c; c0 = c1, panel++) {
            c1 = panel_end(b, c, c0);
            run_panel(&r, panel, y0, y1, c0, c1);
        }
        if (s[1].block_ends)
            continue;
        lay(&r.work[2].in, r.thin, b->thin_line, s[1].work.out.pixel, y0, 0);
        run_rows(&r, 2, y0, y1);
    }
}
