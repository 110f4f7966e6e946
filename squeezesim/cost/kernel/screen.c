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
#include <string.h>

#include "search.h"

enum { RUN = 64 }; /* channel options, or runs, that are bounded together */

/* Whether so many bits of operands fit the buffer. */
static bool fit_together(const State *s, double inputs, double weights, double sums) {
    return together(s, inputs, weights, sums, 0) <= s->rates->room;
}

/* Terms of a channel option. */
enum { INPUT_CHANNELS, SLICES, FILTERS, LAST_FILTERS, AGAIN, AGAIN_BESIDE, CUT, SPILL, SPILL_BESIDE, TERMS };

static int64_t runs_of(const State *s) { return ceil_div(s->channel_count, RUN); }

/* The least of some values. */
static double least_of(const double *values, int64_t count) {
    double found[4] = {INFINITY, INFINITY, INFINITY, INFINITY}; /* each waits for itself alone */
    int64_t at = 0;
    for (; at + 4 <= count; at += 4)
        for (int lane = 0; lane < 4; lane++) found[lane] = lesser(found[lane], values[at + lane]);
    for (; at < count; at++) found[0] = lesser(found[0], values[at]);
    return lesser(lesser(found[0], found[1]), lesser(found[2], found[3]));
}

static void reduce(const State *s, const double *values, double *runs) {
    for (int64_t from = 0; from < s->channel_count; from += RUN)
        *runs++ = least_of(values + from, least(RUN, s->channel_count - from));
}

/* Terms of the channel options of the problem. */
static bool fill_terms(State *s) {
    int64_t count = s->channel_count;
    double *terms = realloc(s->terms, (size_t)(TERMS * (count + runs_of(s))) * sizeof(double));
    if (!terms) return false;
    s->terms = terms;
    const int64_t *const *c = s->channels;
    for (int64_t at = 0; at < count; at++) {
        double g = (double)c[SIZE][at], k = (double)c[SIZE + 1][at], channels = (double)c[SIZE + 2][at];
        double of_k = (double)(c[TILES + 1][at] - 1), of_c = (double)(c[TILES + 2][at] - 1);
        terms[INPUT_CHANNELS * count + at] = g * channels;
        terms[SLICES * count + at] = g * k * channels;
        terms[FILTERS * count + at] = g * k;
        terms[LAST_FILTERS * count + at] = (double)(c[LAST][at] * c[LAST + 1][at]);
        terms[AGAIN * count + at] = of_c > 0 ? of_k : 0;
        terms[AGAIN_BESIDE * count + at] = of_k;
        terms[CUT * count + at] = of_k + of_c > 0;
        terms[SPILL * count + at] = of_k > 0 ? of_c : 0;
        terms[SPILL_BESIDE * count + at] = of_c;
    }
    for (int term = 0; term < TERMS; term++)
        reduce(s, terms + term * count, terms + TERMS * count + term * runs_of(s));
    return true;
}

/* The closed forms of a dataflow for runs of channel options. */
static bool fill_runs(const State *s, Closed *forms) {
    int64_t sums = forms->of.alternatives * forms->of.terms;
    double *found = realloc(forms->runs, (size_t)(sums * runs_of(s) + 1) * sizeof(double));
    if (!found) return false;
    forms->runs = found;
    for (int64_t sum = 0; sum < sums; sum++)
        reduce(s, forms->of.columns + sum * forms->channels, found + sum * runs_of(s));
    return true;
}

/* ---- a pixel option beside channel options ----------------------------------------------------------------------- */

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

void take_pixel(State *s, int number, int64_t pixel) {
    const Problem *p = &s->problem;
    Row row = {.pixel = pixel, .forms = s->forms[number]};
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
    s->beside = row;
}

/* So many channel options, or runs of them, beside the pixel option: their terms and columns are *stride* apart. */
typedef struct {
    int64_t count, stride, strides[2];
    const double *terms, *columns[2];
} Several;

/* What is known of each of them; the bound alone depends on the rates of the machine. */
typedef struct {
    double bound[RUN], traffic[RUN], cycles[RUN], exposed[RUN], energy[RUN];
} Bounds;

static Several some_runs(const State *s, int64_t from) {
    const Closed *forms = s->beside.forms;
    int64_t runs = runs_of(s);
    return (Several){.count = least(RUN, runs - from),
                     .stride = runs,
                     .strides = {runs, runs},
                     .terms = s->terms + TERMS * s->channel_count + from,
                     .columns = {forms[0].runs + from, forms[1].runs ? forms[1].runs + from : NULL}};
}

static Several some_channels(const State *s, int64_t from, int64_t count) {
    const Closed *forms = s->beside.forms;
    return (Several){.count = count,
                     .stride = s->channel_count,
                     .strides = {forms[0].channels, forms[1].channels},
                     .terms = s->terms + from,
                     .columns = {forms[0].of.columns + from, forms[1].runs ? forms[1].of.columns + from : NULL}};
}

/* A closed form of each: the most of its alternatives. */
static void forms_of(const State *s, const Several *of, int number, double *found) {
    const Closed *forms = &s->beside.forms[number];
    const double *row = forms->of.rows + s->beside.pixel, *columns = of->columns[number];
    for (int64_t at = 0; at < of->count; at++) found[at] = 0;
    for (int64_t alternative = 0; alternative < forms->of.alternatives; alternative++) {
        double sums[RUN] = {0};
        for (int64_t term = 0; term < forms->of.terms; term++, row += forms->pixels, columns += of->strides[number]) {
            const double factor = *row;
            if (factor == 0) continue;
            for (int64_t at = 0; at < of->count; at++) sums[at] += factor * columns[at];
        }
        for (int64_t at = 0; at < of->count; at++) found[at] = larger(sums[at], found[at]);
    }
}

/* Traffic of each at least. */
static void traffic_of(const State *s, const Several *of, double *found) {
    const Row *row = &s->beside;
    const double *cut = of->terms + CUT * of->stride;
    for (int order = 0; order < row->orders; order++) {
        const Again *again = &row->again[order];
        const double *inputs = of->terms + again->of_inputs * of->stride;
        const double *sums = of->terms + again->of_sums * of->stride;
        for (int64_t at = 0; at < of->count; at++) {
            double bits = again->inputs * inputs[at] + again->weights * cut[at] + again->sums * sums[at];
            found[at] = order ? lesser(found[at], row->traffic + bits) : row->traffic + bits;
        }
    }
}

/* Make the traffic of those infinite that do not fit the buffer. */
static void leave_out(const State *s, const Several *of, double *traffic) {
    const Row *row = &s->beside;
    const double *channels = of->terms + INPUT_CHANNELS * of->stride, *slices = of->terms + SLICES * of->stride;
    const double *filters = of->terms + FILTERS * of->stride;
    double taken[RUN], room = s->rates->room;
    if (s->in->memory->is_plain)
        for (int64_t at = 0; at < of->count; at++)
            taken[at] = row->largest * channels[at] + row->weights * slices[at] + row->sums * filters[at] +
                        (double)s->problem.resident;
    else
        for (int64_t at = 0; at < of->count; at++)
            taken[at] = together(s, row->largest * channels[at], row->weights * slices[at],
                                 row->sums * filters[at], 0);
    for (int64_t at = 0; at < of->count; at++) traffic[at] = taken[at] <= room ? traffic[at] : INFINITY;
}

/* Measure each of some pairs, or the best that each of some runs of them can be; inf traffic: none fits the buffer. */
static void measure_all(const State *s, const Several *of, Bounds *found) {
    const Row *row = &s->beside;
    const double *channels = of->terms + INPUT_CHANNELS * of->stride, *slices = of->terms + SLICES * of->stride;
    const double *last_filters = of->terms + LAST_FILTERS * of->stride;
    const double once = (double)s->problem.constants, stored = s->stored_slice;
    traffic_of(s, of, found->traffic);
    forms_of(s, of, 0, found->cycles);
    for (int64_t at = 0; at < of->count; at++)
        found->exposed[at] = row->inputs * channels[at] + slices[at] * stored + once + row->outputs * last_filters[at];
    if (s->in->objective != LATENCY) forms_of(s, of, 1, found->energy);
    leave_out(s, of, found->traffic);
}

/* Bound what was measured, on the machine. */
static void bound_all(const State *s, int64_t count, const double *traffic, const double *cycles,
                      const double *exposed, const double *energy, double *bound) {
    const double rate = s->cycles_per_bit, constant = s->constant;
    for (int64_t at = 0; at < count; at++) {
        double slower = larger(cycles[at] + exposed[at] * rate, traffic[at] * rate);
        bound[at] = rounded_down(slower + constant);
    }
    if (s->in->objective != LATENCY)
        for (int64_t at = 0; at < count; at++)
            bound[at] = traffic[at] < INFINITY ? least_weighted(s, bound[at], energy[at], traffic[at]) : INFINITY;
}

static void screen(const State *s, const Several *of, Bounds *found) {
    measure_all(s, of, found);
    bound_all(s, of->count, found->traffic, found->cycles, found->exposed, found->energy, found->bound);
}

static Pair pair_at(const State *s, const Bounds *of, int64_t at, int64_t channel) {
    return (Pair){
        .bound = of->bound[at],
        .traffic = of->traffic[at],
        .cycles = of->cycles[at],
        .energy = s->in->objective != LATENCY ? of->energy[at] : 0,
        .pixel = (int32_t)s->beside.pixel,
        .channel = (int32_t)channel,
    };
}

/* ---- runs of channel options beside each pixel option ------------------------------------------------------------ */

enum { KEPT_TRAFFIC, KEPT_CYCLES, KEPT_EXPOSED, KEPT_ENERGY, MEASURES };
static const int64_t MOST_KEPT = 1 << 22; /* values of a dataflow */

static int64_t measures_of(const State *s) { return s->in->objective == LATENCY ? KEPT_ENERGY : MEASURES; }

/* Forget what is kept of runs: the problem or the room is another one. */
void screen_forget(State *s) {
    s->kept_room = s->rates ? s->rates->room : 0;
    for (int flow = 0; flow < s->in->flows; flow++)
        if (s->kept[flow].known) memset(s->kept[flow].known, 0, (size_t)s->pixel_count * sizeof(bool));
}

/* Room for what is kept of the problem; where there is none, nothing is. */
static void take_kept(State *s) {
    int64_t values = s->pixel_count * runs_of(s) * measures_of(s);
    for (int flow = 0; flow < s->in->flows; flow++) {
        Kept *kept = &s->kept[flow];
        free(kept->values);
        free(kept->known);
        kept->values = values <= MOST_KEPT ? malloc((size_t)values * sizeof(double)) : NULL;
        kept->known = calloc((size_t)s->pixel_count, sizeof(bool));
        if (!kept->known) {
            free(kept->values);
            kept->values = NULL;
        }
    }
}

bool screen_problem(State *s, bool alike) {
    bool there = true;
    if (!alike) {
        const int64_t *const *c = s->channels;
        s->least_g = s->least_k = INT64_MAX;
        for (int64_t at = 0; at < s->channel_count; at++) {
            s->least_g = least(s->least_g, c[SIZE][at]);
            s->least_k = least(s->least_k, c[SIZE + 1][at]);
        }
        there = fill_terms(s);
    }
    take_kept(s);
    for (int flow = 0; flow < s->in->flows && there; flow++) {
        if (!alike) there = take_forms(s, flow) && fill_runs(s, &s->forms[flow][0]);
        if (there && s->in->objective != LATENCY) {
            take_prices(s, flow);
            there = fill_runs(s, &s->forms[flow][1]);
        }
    }
    return there;
}

/* What runs from *from* on beside the pixel option cost at least. */
static void measure_runs(const State *s, int64_t from, Bounds *found) {
    Several of = some_runs(s, from);
    measure_all(s, &of, found);
}

/* What is kept of the runs beside a pixel option; NULL: nothing can be. */
static const double *kept_of(State *s, int number, int64_t pixel) {
    Kept *kept = &s->kept[number];
    int64_t runs = runs_of(s), measures = measures_of(s);
    if (!kept->values) return NULL;
    double *values = kept->values + pixel * runs * measures;
    if (kept->known[pixel]) return values;
    take_pixel(s, number, pixel);
    for (int64_t from = 0; from < runs; from += RUN) {
        Bounds found;
        size_t bytes = (size_t)least(RUN, runs - from) * sizeof(double);
        measure_runs(s, from, &found);
        memcpy(values + KEPT_TRAFFIC * runs + from, found.traffic, bytes);
        memcpy(values + KEPT_CYCLES * runs + from, found.cycles, bytes);
        memcpy(values + KEPT_EXPOSED * runs + from, found.exposed, bytes);
        if (measures > KEPT_ENERGY) memcpy(values + KEPT_ENERGY * runs + from, found.energy, bytes);
    }
    kept->known[pixel] = true;
    return values;
}

/* Bound up to RUN runs beside a pixel option from *from* on; how many there are. */
static int64_t bound_runs(State *s, int number, int64_t pixel, int64_t from, Bounds *found) {
    int64_t runs = runs_of(s), count = least(RUN, runs - from);
    const double *kept = kept_of(s, number, pixel);
    if (!kept) {
        if (s->beside.pixel != pixel || s->beside.forms != s->forms[number]) take_pixel(s, number, pixel);
        measure_runs(s, from, found);
    } else {
        size_t bytes = (size_t)count * sizeof(double);
        memcpy(found->traffic, kept + KEPT_TRAFFIC * runs + from, bytes);
        memcpy(found->cycles, kept + KEPT_CYCLES * runs + from, bytes);
        memcpy(found->exposed, kept + KEPT_EXPOSED * runs + from, bytes);
        if (s->in->objective != LATENCY) memcpy(found->energy, kept + KEPT_ENERGY * runs + from, bytes);
    }
    bound_all(s, count, found->traffic, found->cycles, found->exposed, found->energy, found->bound);
    return count;
}

/* The best that the pairs of each run can be, in s->runs; their number. */
int64_t screen_runs(State *s, int number) {
    int64_t runs = runs_of(s);
    for (int64_t from = 0; from < runs; from += RUN) {
        Bounds bounds;
        int64_t count = bound_runs(s, number, s->beside.pixel, from, &bounds);
        for (int64_t at = 0; at < count; at++) s->runs[from + at] = pair_at(s, &bounds, at, (from + at) * RUN);
    }
    return runs;
}

/* The pairs of a run whose bounds are up to *limit* and that move up to *most* bits, in s->found; their number. */
int64_t screen_run(State *s, const Pair *run, double limit, double most_bits) {
    Several of = some_channels(s, run->channel, least(RUN, s->channel_count - run->channel));
    Bounds bounds;
    int64_t count = 0;
    screen(s, &of, &bounds);
    for (int64_t at = 0; at < of.count; at++)
        if (bounds.bound[at] <= limit && bounds.traffic[at] <= most_bits)
            s->found[count++] = pair_at(s, &bounds, at, run->channel + at);
    return count;
}

/* The best that pairs of a pixel option can be: the least bound and the least traffic of any. */
Pair screen_least(State *s, int number, int64_t pixel) {
    Pair best = {.bound = INFINITY, .traffic = INFINITY, .pixel = (int32_t)pixel};
    for (int64_t from = 0; from < runs_of(s); from += RUN) {
        Bounds bounds;
        int64_t count = bound_runs(s, number, pixel, from, &bounds);
        best.bound = lesser(best.bound, least_of(bounds.bound, count));
        best.traffic = lesser(best.traffic, least_of(bounds.traffic, count));
    }
    return best;
}

/* One pair, as screened. */
Pair screen_one(State *s, int number, int64_t pixel, int64_t channel) {
    take_pixel(s, number, pixel);
    Several of = some_channels(s, channel, 1);
    Bounds bounds;
    screen(s, &of, &bounds);
    return pair_at(s, &bounds, 0, channel);
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
