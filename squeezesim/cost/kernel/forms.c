/* Closed forms of cycles on the array: for each option of a problem, what the terms of its tiles sum up to.
 *
 * They are those of `bounds.ArrayForms` and of `Bounds.cycles` of each dataflow, to the last bit: the most of some
 * alternatives, each a sum of a term of the pixel option times one of the channel option. */

#include <stdlib.h>
#include <string.h>

#include "search.h"

enum { TOGETHER = 64, CORNERS = 8, MOST_ALTERNATIVES = 4, MOST_PRODUCTS = 3 };

/* Sums of terms over the tiles of an option, and how many tiles there are. */
typedef struct {
    double terms[MOST_TERMS], tiles;
} Sums;

/* Factors of a side by alternative; those that are not there are 0. */
typedef struct {
    double each[MOST_ALTERNATIVES][MOST_PRODUCTS];
} Factors;

/* What a dataflow's closed forms are made of. */
typedef struct {
    const Problem *problem;
    const Array *array;
    const Flow *flow;
    int64_t alternatives, products;
} Of;

static Of of_flow(const State *s, int number) {
    Of of = {.problem = &s->problem, .array = s->in->array, .flow = &s->in->flow[number]};
    of.alternatives = 2;
    of.products = 3;
    if (of.flow->kind == OF_UNIT) {
        const Unit *u = of.flow->unit;
        bool by_ports = u->stationary == INPUTS_STAY && u->ports;
        of.alternatives = 1 + (u->output_words > 0) + (u->stationary == WEIGHTS_STAY) + by_ports;
        of.alternatives += u->stationary == INPUTS_STAY && u->preload;
        of.products = u->stationary == WEIGHTS_STAY || by_ports ? 3 : 2;
    }
    return of;
}

static void terms_of(const Of *of, bool channels, int64_t count, const Side *sides, Terms *terms) {
    if (of->flow->kind == OF_UNIT)
        (channels ? unit_channels : unit_pixels)(of->problem, of->flow->unit, count, sides, terms);
    else if (of->flow->kind == OF_WS)
        (channels ? ws_channels : ws_pixels)(of->problem, of->array, count, sides, terms);
    else
        (channels ? os_channels : os_pixels)(of->problem, of->array, count, sides, terms);
}

/* Different tiles of an option, and how many there are of each: tiles along an axis have one size, but for the last. */
static int corners_of(const int64_t *const *columns, int64_t at, Side *sides, double *weights) {
    int64_t size[3][2], number[3][2];
    int kinds[3], count = 0;
    for (int axis = 0; axis < 3; axis++) {
        int64_t others = columns[TILES + axis][at] - 1;
        kinds[axis] = others > 0;
        size[axis][0] = columns[SIZE + axis][at];
        number[axis][0] = others;
        size[axis][kinds[axis]] = columns[LAST + axis][at];
        number[axis][kinds[axis]] = 1;
    }
    for (int a = 0; a <= kinds[0]; a++)
        for (int b = 0; b <= kinds[1]; b++)
            for (int c = 0; c <= kinds[2]; c++) {
                weights[count] = (double)(number[0][a] * number[1][b] * number[2][c]);
                sides[count++] = (Side){size[0][a], size[1][b], size[2][c]};
            }
    return count;
}

/* Sums of the terms of some options. */
static void sum_up(const Of *of, bool channels, const int64_t *const *columns, int64_t from, int64_t count,
                   Sums sums[TOGETHER]) {
    Side sides[CORNERS * TOGETHER];
    double weights[CORNERS * TOGETHER];
    Terms terms[CORNERS * TOGETHER];
    int ends[TOGETHER], corners = 0, terms_of_tile = of->flow->kind == OF_UNIT ? MOST_TERMS : 4;
    for (int64_t at = 0; at < count; at++) {
        corners += corners_of(columns, from + at, sides + corners, weights + corners);
        ends[at] = corners;
    }
    terms_of(of, channels, corners, sides, terms);
    for (int64_t at = 0, corner = 0; at < count; at++) {
        const int64_t *const *c = columns + TILES;
        Sums *sum = &sums[at];
        *sum = (Sums){.tiles = (double)(c[0][from + at] * c[1][from + at] * c[2][from + at])};
        for (; corner < ends[at]; corner++)
            for (int term = 0; term < terms_of_tile; term++)
                sum->terms[term] += weights[corner] * terms[corner].of[term];
    }
}

/* ---- alternatives ------------------------------------------------------------------------------------------------ */

static Factors rows_of_unit(const Unit *u, const Sums *p) {
    double stream = p->terms[UNIT_STREAM], pixels = p->terms[UNIT_PIXELS];
    Factors found = {{{stream, p->tiles}}};
    int at = 1;
    if (u->stationary == WEIGHTS_STAY) found.each[0][2] = p->tiles;
    if (u->stationary == INPUTS_STAY && u->ports) found.each[0][2] = p->terms[UNIT_FIRST_PIXELS];
    const double of_pixels[] = {pixels, p->tiles}, of_blocks[] = {p->tiles, stream};
    const double of_parts[] = {p->terms[UNIT_PARTS], p->tiles};
    if (u->output_words) memcpy(found.each[at++], of_pixels, sizeof of_pixels);
    if (u->stationary == WEIGHTS_STAY) memcpy(found.each[at++], of_blocks, sizeof of_blocks);
    if (u->stationary == INPUTS_STAY && u->ports) memcpy(found.each[at++], of_pixels, sizeof of_pixels);
    if (u->stationary == INPUTS_STAY && u->preload) memcpy(found.each[at++], of_parts, sizeof of_parts);
    return found;
}

static Factors columns_of_unit(const Unit *u, const Sums *c) {
    double latency = c->terms[UNIT_LATENCY], ports = (double)u->ports;
    Factors found = {{{c->terms[UNIT_CYCLES], latency}}};
    int at = 1;
    if (u->stationary == WEIGHTS_STAY) found.each[0][2] = c->terms[UNIT_EXPOSED];
    if (u->stationary == INPUTS_STAY && u->ports) found.each[0][2] = c->terms[UNIT_FIRST] / ports;
    const double of_outputs[] = {c->terms[UNIT_OUTPUTS] / (double)u->output_words, latency};
    const double of_blocks[] = {c->terms[UNIT_PRELOADS] + latency, 1};
    const double of_inputs[] = {c->terms[UNIT_INPUTS] / ports, latency};
    const double of_parts[] = {c->terms[UNIT_BLOCKS] * (double)u->preload, latency};
    if (u->output_words) memcpy(found.each[at++], of_outputs, sizeof of_outputs);
    if (u->stationary == WEIGHTS_STAY) memcpy(found.each[at++], of_blocks, sizeof of_blocks);
    if (u->stationary == INPUTS_STAY && u->ports) memcpy(found.each[at++], of_inputs, sizeof of_inputs);
    if (u->stationary == INPUTS_STAY && u->preload) memcpy(found.each[at++], of_parts, sizeof of_parts);
    return found;
}

static Factors rows_of(const Of *of, const Sums *p) {
    const double *t = p->terms;
    if (of->flow->kind == OF_UNIT) return rows_of_unit(of->flow->unit, p);
    if (of->flow->kind == OF_WS)
        return (Factors){{{t[WS_STREAM], t[WS_SHARE], p->tiles}, {p->tiles, t[WS_STREAM]}}};
    return (Factors){{{t[OS_BLOCKS], t[OS_PRELOAD], t[OS_LAST_DRAIN]}, {t[OS_DRAIN]}}};
}

static Factors columns_of(const Of *of, const Sums *c) {
    const double *t = c->terms;
    if (of->flow->kind == OF_UNIT) return columns_of_unit(of->flow->unit, c);
    if (of->flow->kind == OF_WS)
        return (Factors){
            {{t[WS_BLOCKS], t[WS_FIRST] - c->tiles, t[WS_SWAPS] + c->tiles}, {t[WS_PRELOADS], c->tiles}}};
    return (Factors){{{t[OS_STREAM], t[OS_WINDOWS], t[OS_LAST_CHUNK]}, {t[OS_OUTPUTS]}}};
}

/* Enter the factors of all options of a side, *stride* apart by alternative and product. */
static void fill(const Of *of, bool channels, const int64_t *const *columns, int64_t count, int64_t stride,
                 double *found) {
    Sums sums[TOGETHER];
    for (int64_t from = 0; from < count; from += TOGETHER) {
        int64_t some = least(TOGETHER, count - from);
        sum_up(of, channels, columns, from, some, sums);
        for (int64_t at = 0; at < some; at++) {
            Factors factors = (channels ? columns_of : rows_of)(of, &sums[at]);
            for (int64_t alternative = 0; alternative < of->alternatives; alternative++)
                for (int64_t product = 0; product < of->products; product++)
                    found[(alternative * of->products + product) * stride + from + at] =
                        factors.each[alternative][product];
        }
    }
}

bool take_forms(State *s, int number) {
    const Input *in = s->in;
    const Forms *energy = &in->flow[number].energy;
    Of of = of_flow(s, number);
    int64_t sums = of.alternatives * of.products;
    Closed *cycles = &s->forms[number][0], *priced = &s->forms[number][1];
    double *own = realloc(cycles->own, (size_t)(sums * (s->pixel_count + s->channel_count)) * sizeof(double));
    if (!own) return false;
    cycles->own = own;
    cycles->of = (Forms){of.alternatives, of.products, own, own + sums * s->pixel_count};
    cycles->pixels = s->pixel_count;
    cycles->channels = s->channel_count;
    fill(&of, false, s->pixels, s->pixel_count, s->pixel_count, own);
    fill(&of, true, s->channels, s->channel_count, s->channel_count, own + sums * s->pixel_count);
    if (in->objective == LATENCY) return true;
    priced->of = *energy;
    priced->of.rows += in->pixel_offsets[s->row];
    priced->of.columns += in->channel_offsets[s->row];
    priced->pixels = in->pixel_offsets[in->problems];
    priced->channels = in->channel_offsets[in->problems];
    return true;
}

/* Enter closed forms of cycles of a dataflow into *rows* and *columns*, of so many products with those of all
 * alternatives, as those of `Forms`; 1 where it has another number. */
int squeezesim_forms(const Input *in, int64_t number, int64_t products, double *rows, double *columns) {
    int64_t pixels = in->pixel_offsets[in->problems], channels = in->channel_offsets[in->problems];
    for (int64_t row = 0; row < in->problems; row++) {
        State s = {.in = in};
        take_row(&s, row);
        Of of = of_flow(&s, (int)number);
        if (of.alternatives * of.products != products) return 1;
        fill(&of, false, s.pixels, s.pixel_count, pixels, rows + in->pixel_offsets[row]);
        fill(&of, true, s.channels, s.channel_count, channels, columns + in->channel_offsets[row]);
    }
    return 0;
}
