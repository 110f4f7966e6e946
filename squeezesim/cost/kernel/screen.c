/* Which pairs of a pixel option and a channel option are worth a closer look: runs of channel options at once.
 *
 * What is moved again is a sum of terms of the channels, each times a number of the pixels:
 *
 *     order   inputs                             weights                            partial sums
 *     PKC     tiles of K - 1 if C is cut         tiles of pixels - 1 if K, C cut    never
 *     PCK     never                              tiles of pixels - 1 if K, C cut    tiles of C - 1 if K is cut
 *     KCP     tiles of K - 1                     never                              tiles of C - 1
 *     NKCP    tiles of K - 1                     tiles of images - 1 if K, C cut    tiles of C - 1
 *
 * unless it can stay: then its least extent would fit the buffer by itself. Of all pixels in one tile KCP moves what
 * PKC does, and no sums. The least of each term bounds a run. */

#include <stdlib.h>

#include "search.h"

enum { RUN = 64 }; /* channel options that are bounded together */

/* Whether so many bits of operands fit the buffer. */
static bool fit_together(const State *s, double inputs, double weights, double sums) {
    return together(s, inputs, weights, sums, 0) <= s->rates->room;
}

/* Terms of a channel option. */
enum { INPUT_CHANNELS, SLICES, FILTERS, LAST_FILTERS, AGAIN, AGAIN_BESIDE, CUT, SPILL, SPILL_BESIDE, TERMS };

static int64_t runs_of(const State *s) { return ceil_div(s->channel_count, RUN); }

static void reduce(const State *s, const double *values, double *runs) {
    for (int64_t at = 0; at < s->channel_count; at++) {
        int64_t run = at / RUN;
        runs[run] = at % RUN ? lesser(runs[run], values[at]) : values[at];
    }
}

/* Terms of the channel options of the problem. */
static bool fill_terms(State *s) {
    size_t entries = (size_t)(s->channel_count + runs_of(s));
    double *terms = realloc(s->terms, TERMS * entries * sizeof(double));
    if (!terms) return false;
    s->terms = terms;
    double *runs = terms + TERMS * s->channel_count;
    const int64_t *const *c = s->channels;
    for (int64_t at = 0; at < s->channel_count; at++) {
        double slices = (double)(c[SIZE][at] * c[SIZE + 1][at] * c[SIZE + 2][at]);
        int64_t of_k = c[TILES + 1][at] - 1, of_c = c[TILES + 2][at] - 1;
        const double values[TERMS] = {
            [INPUT_CHANNELS] = (double)(c[SIZE][at] * c[SIZE + 2][at]),
            [SLICES] = slices,
            [FILTERS] = (double)(c[SIZE][at] * c[SIZE + 1][at]),
            [LAST_FILTERS] = (double)(c[LAST][at] * c[LAST + 1][at]),
            [AGAIN] = (double)(of_c ? of_k : 0),
            [AGAIN_BESIDE] = (double)of_k,
            [CUT] = of_k || of_c,
            [SPILL] = (double)(of_k ? of_c : 0),
            [SPILL_BESIDE] = (double)of_c,
        };
        for (int term = 0; term < TERMS; term++) terms[term * s->channel_count + at] = values[term];
    }
    for (int term = 0; term < TERMS; term++)
        reduce(s, terms + term * s->channel_count, runs + term * runs_of(s));
    return true;
}

/* The closed forms of a dataflow for runs of channel options. */
static bool fill_forms(State *s, const Forms *forms, double **to) {
    int64_t channels = s->in->channel_offsets[s->in->problems], sums = forms->alternatives * forms->terms;
    double *found = realloc(*to, (size_t)(sums * runs_of(s) + 1) * sizeof(double));
    if (!found) return false;
    *to = found;
    for (int64_t sum = 0; sum < sums; sum++)
        reduce(s, forms->columns + sum * channels + s->in->channel_offsets[s->row], found + sum * runs_of(s));
    return true;
}

bool screen_problem(State *s) {
    const int64_t *const *c = s->channels;
    s->least_g = s->least_k = INT64_MAX;
    for (int64_t at = 0; at < s->channel_count; at++) {
        s->least_g = least(s->least_g, c[SIZE][at]);
        s->least_k = least(s->least_k, c[SIZE + 1][at]);
    }
    bool there = fill_terms(s);
    for (int flow = 0; flow < s->in->flows && there; flow++) {
        there = fill_forms(s, &s->in->flow[flow].cycles, &s->run_forms[flow][0]);
        if (there && s->in->objective != LATENCY)
            there = fill_forms(s, &s->in->flow[flow].energy, &s->run_forms[flow][1]);
    }
    return there;
}

/* ---- a pixel option beside channel options ----------------------------------------------------------------------- */

/* Bits that are moved again for each of a term of inputs, of CUT and of a term of sums. */
typedef struct {
    double inputs, weights, sums;
    int of_inputs, of_sums;
} Again;

typedef struct {
    int64_t pixel;
    const Flow *flow;
    const double *const *run_forms;
    double traffic;                     /* of what is moved once */
    Again again[ORDERS];                /* of what is moved again, under the orders that there are */
    int orders;
    double inputs, outputs;             /* bits of the first load and the last store, of a channel */
    double largest, weights, sums;      /* bits of a slot of each operand, of a channel, slice or filter */
} Row;

/* What a pixel option moves again under each order, of each term. */
static void fill_again(const State *s, Row *row) {
    const Problem *p = &s->problem;
    const Memory *memory = s->in->memory;
    int64_t pixel = row->pixel, images = s->pixels[TILES][pixel];
    int64_t in_image = s->pixels[TILES + 1][pixel] * s->pixels[TILES + 2][pixel], tiles = images * in_image;
    int64_t of_tile = s->pixels[SIZE][pixel] * s->pixels[SIZE + 1][pixel] * s->pixels[SIZE + 2][pixel];
    double channels = (double)(s->least_g * p->c) * (double)p->input_bits;
    double filters = (double)s->least_g * (double)p->accumulator_bits;
    double once = (double)s->pixels[ONCE][pixel], all = (double)(p->n * p->y * p->x);
    double of_images = (double)s->pixels[SIZE][pixel] / (double)p->n;
    double weights = (double)(s->least_g * p->k * p->c) * (double)(taps_of(p) * p->factor_bits);
    bool stays = memory->stays;
    bool fit_weights = stays && (memory->weights_bits ? weights <= (double)memory->weights_bits
                                                      : fit_together(s, 0, weights, 0));
    const bool fit_inputs[ORDERS] = {
        [PKC] = stays && fit_together(s, (double)s->pixels[LARGEST][pixel] * channels, 0, 0),
        [KCP] = stays && fit_together(s, once * channels, 0, 0),
        [NKCP] = stays && fit_together(s, once * of_images * channels, 0, 0)};
    const bool fit_sums[ORDERS] = {
        [PCK] = stays && fit_together(s, 0, 0, (double)(of_tile * p->k) * filters),
        [KCP] = stays && fit_together(s, 0, 0, all * (double)s->least_k * filters),
        [NKCP] = stays && fit_together(s, 0, 0, all * of_images * (double)s->least_k * filters)};
    double inputs = (double)s->pixels[TOTAL][pixel] * (double)(p->g * p->c) * (double)p->input_bits;
    double sums = 2 * all * (double)(p->g * p->k) * (double)p->accumulator_bits;
    double by_tile = fit_weights ? 0 : (double)p->stored_weights * (double)(tiles - 1);
    double by_image = fit_weights ? 0 : (double)p->stored_weights * (double)(images - 1);
    const Again again[ORDERS] = {
        [PKC] = {fit_inputs[PKC] ? 0 : inputs, by_tile, 0, AGAIN, SPILL},
        [PCK] = {0, by_tile, fit_sums[PCK] ? 0 : sums, AGAIN, SPILL},
        [KCP] = {fit_inputs[KCP] ? 0 : inputs, 0, fit_sums[KCP] || tiles == 1 ? 0 : sums,
                 tiles > 1 ? AGAIN_BESIDE : AGAIN, SPILL_BESIDE},
        [NKCP] = {fit_inputs[NKCP] ? 0 : inputs, by_image, fit_sums[NKCP] || in_image == 1 ? 0 : sums,
                  in_image > 1 ? AGAIN_BESIDE : AGAIN, SPILL_BESIDE}};
    for (int order = 0; order < ORDERS; order++)
        if (memory->orders >> order & 1) row->again[row->orders++] = again[order];
}

static Row row_of(const State *s, int number, int64_t pixel) {
    const Problem *p = &s->problem;
    Row row = {.pixel = pixel, .flow = &s->in->flow[number], .run_forms = (const double *const *)s->run_forms[number]};
    double elements = (double)s->pixels[s->in->memory->stays ? ONCE : TOTAL][pixel];
    double outputs = (double)(p->g * p->k * p->n * p->y * p->x) * (double)p->second;
    outputs += (double)(p->g * p->k * s->pooling.outputs) * (double)p->output_bits;
    row.traffic = elements * (double)(p->g * p->c) * (double)p->input_bits + outputs;
    row.traffic += (double)p->stored_weights + (double)p->constants;
    row.inputs = (double)s->pixels[FIRST][pixel] * (double)p->input_bits;
    row.outputs = (double)s->pixels[LAST_WINDOWS][pixel] * (double)p->output_bits;
    row.largest = (double)s->pixels[LARGEST][pixel] * (double)p->input_bits;
    row.weights = s->in->memory->weights_bits ? 0 : (double)(taps_of(p) * p->factor_bits);
    int64_t of_tile = s->pixels[SIZE][pixel] * s->pixels[SIZE + 1][pixel] * s->pixels[SIZE + 2][pixel];
    row.sums = (double)of_tile * (double)p->accumulator_bits;
    fill_again(s, &row);
    return row;
}

static double form_of(const State *s, const Forms *forms, const Row *row, const double *columns, int64_t stride) {
    int64_t pixels = s->in->pixel_offsets[s->in->problems];
    const double *rows = forms->rows + s->in->pixel_offsets[s->row] + row->pixel;
    double result = 0;
    for (int64_t alternative = 0; alternative < forms->alternatives; alternative++) {
        double sum = 0;
        for (int64_t term = 0; term < forms->terms; term++, rows += pixels, columns += stride)
            sum += *rows * *columns;
        result = larger(sum, result);
    }
    return result;
}

/* A pair, or the best that a run of them can be: its bounds by terms at *terms* and columns of the closed forms. */
static Pair screened(const State *s, const Row *row, const double *terms, int64_t stride, const double *cycles,
                     const double *energy, int64_t columns) {
    Pair pair = {.bound = INFINITY, .traffic = INFINITY, .pixel = (int32_t)row->pixel};
    double channels = terms[INPUT_CHANNELS * stride], slices = terms[SLICES * stride], again = INFINITY;
    if (!fit_together(s, row->largest * channels, row->weights * slices, row->sums * terms[FILTERS * stride]))
        return pair;
    for (const Again *of = row->again; of < row->again + row->orders; of++)
        again = lesser(again, of->inputs * terms[of->of_inputs * stride] + of->weights * terms[CUT * stride] +
                                  of->sums * terms[of->of_sums * stride]);
    pair.traffic = row->traffic + again;
    pair.cycles = form_of(s, &row->flow->cycles, row, cycles, columns);
    if (s->in->objective != LATENCY) pair.energy = form_of(s, &row->flow->energy, row, energy, columns);
    double exposed = row->inputs * channels + slices * s->stored_slice + (double)s->problem.constants +
                     row->outputs * terms[LAST_FILTERS * stride];
    double slower = larger(pair.cycles + exposed * s->cycles_per_bit, pair.traffic * s->cycles_per_bit);
    pair.bound = least_value(s, slower + s->constant, pair.energy, pair.traffic);
    return pair;
}

/* The pairs of a pixel option whose bounds are up to *limit* and that move up to *most* bits, in s->found. */
int64_t screen(State *s, int number, int64_t pixel, double limit, double most_bits) {
    const Input *in = s->in;
    bool priced = in->objective != LATENCY;
    Row row = row_of(s, number, pixel);
    int64_t runs = runs_of(s), channels = in->channel_offsets[in->problems], offset = in->channel_offsets[s->row];
    const double *of_runs = s->terms + TERMS * s->channel_count, *const *run_forms = row.run_forms;
    const double *cycles = row.flow->cycles.columns + offset;
    const double *energy = priced ? row.flow->energy.columns + offset : cycles;
    int64_t count = 0;
    for (int64_t run = 0; run < runs; run++) {
        const double *run_energy = priced ? run_forms[1] + run : NULL;
        Pair whole = screened(s, &row, of_runs + run, runs, run_forms[0] + run, run_energy, runs);
        if (whole.bound > limit || whole.traffic > most_bits) continue;
        for (int64_t at = run * RUN; at < least((run + 1) * RUN, s->channel_count); at++) {
            Pair pair = screened(s, &row, s->terms + at, s->channel_count, cycles + at, energy + at, channels);
            pair.channel = (int32_t)at;
            if (pair.bound <= limit && pair.traffic <= most_bits) s->found[count++] = pair;
        }
    }
    return count;
}

/* The best that pairs of a pixel option can be: the least bound and the least traffic of any. */
Pair screen_least(const State *s, int number, int64_t pixel) {
    Row row = row_of(s, number, pixel);
    int64_t runs = runs_of(s);
    const double *of_runs = s->terms + TERMS * s->channel_count, *const *run_forms = row.run_forms;
    Pair best = {.bound = INFINITY, .traffic = INFINITY, .pixel = (int32_t)pixel};
    for (int64_t run = 0; run < runs; run++) {
        const double *energy = s->in->objective != LATENCY ? run_forms[1] + run : NULL;
        Pair pair = screened(s, &row, of_runs + run, runs, run_forms[0] + run, energy, runs);
        best.bound = lesser(best.bound, pair.bound);
        best.traffic = lesser(best.traffic, pair.traffic);
    }
    return best;
}

/* One pair, as screened. */
Pair screen_one(const State *s, int number, int64_t pixel, int64_t channel) {
    Row row = row_of(s, number, pixel);
    int64_t channels = s->in->channel_offsets[s->in->problems], at = s->in->channel_offsets[s->row] + channel;
    const double *cycles = row.flow->cycles.columns + at;
    const double *energy = s->in->objective != LATENCY ? row.flow->energy.columns + at : NULL;
    Pair pair = screened(s, &row, s->terms + channel, s->channel_count, cycles, energy, channels);
    pair.channel = (int32_t)channel;
    return pair;
}

/* ---- the smallest tile ------------------------------------------------------------------------------------------- */

/* Bits of the buffer that a pair, or any of a run of them, takes at least: a slot of each operand. */
static double slots_of(const State *s, int64_t pixel, const double *terms, int64_t stride) {
    const Problem *p = &s->problem;
    double inputs = (double)(s->pixels[LARGEST][pixel] * p->input_bits) * terms[INPUT_CHANNELS * stride];
    int64_t of_tile = s->pixels[SIZE][pixel] * s->pixels[SIZE + 1][pixel] * s->pixels[SIZE + 2][pixel];
    double weights = s->in->memory->weights_bits ? 0 : (double)(taps_of(p) * p->factor_bits) * terms[SLICES * stride];
    double sums = (double)(of_tile * p->accumulator_bits) * terms[FILTERS * stride];
    return together(s, inputs, weights, sums, 0);
}

static double footprint_of_pair(const State *s, int64_t pixel, int64_t channel) {
    double least_bits = INFINITY;
    Tiling t;
    tiling_of(s, pixel, channel, &t);
    for (int order = 0; order < ORDERS; order++) {
        Nest nest;
        if ((s->in->memory->orders >> order & 1) && nest_of(s, &t, order, &nest))
            least_bits = lesser(least_bits, footprint_at_least(s, &nest));
    }
    return least_bits;
}

double least_footprint(const State *s) {
    int64_t runs = runs_of(s), pixels = s->pixel_count - (s->in->cut[s->row] != 0);
    const double *of_runs = s->terms + TERMS * s->channel_count;
    double best = INFINITY;
    for (int64_t pixel = 0; pixel < pixels; pixel++)
        for (int64_t run = 0; run < runs; run++) {
            if (slots_of(s, pixel, of_runs + run, runs) >= best) continue;
            for (int64_t at = run * RUN; at < least((run + 1) * RUN, s->channel_count); at++)
                if (slots_of(s, pixel, s->terms + at, s->channel_count) < best)
                    best = lesser(best, footprint_of_pair(s, pixel, at));
        }
    return best;
}
