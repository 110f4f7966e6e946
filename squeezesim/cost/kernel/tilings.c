/* Single tilings: what the buffer holds of each operand, and what passes between memories and buffer, by mode.
 *
 * The rules are those of `cost.traffic` and `cost.residency`. */

#include <string.h>

#include "search.h"

const int NESTS[ORDERS][LOOPS] = {{N, S, K, C}, {N, S, C, K}, {K, C, N, S}, {N, K, C, S}};
const unsigned OWN[OPERANDS] = {IN_N | IN_S | IN_C, IN_K | IN_C, IN_N | IN_S | IN_K};

static unsigned inside(int order, int loop) {
    unsigned found = 0;
    for (int depth = LOOPS - 1; NESTS[order][depth] != loop; depth--) found |= 1u << NESTS[order][depth];
    return found;
}

/* Its own loops inside the outermost loop that an operand lacks. */
static unsigned held_whole(int operand, int order) {
    for (int depth = 0; depth < LOOPS; depth++) {
        int loop = NESTS[order][depth];
        if (!(OWN[operand] >> loop & 1)) return OWN[operand] & inside(order, loop);
    }
    return 0;
}

/* Whether loops with several tiles stand in another sequence than under every order before among some. */
static bool is_distinct(int order, unsigned several, unsigned among) {
    for (int earlier = 0; earlier < order; earlier++) {
        if (!(among >> earlier & 1)) continue;
        bool differs = false;
        for (int loop = 0; loop < LOOPS; loop++) {
            unsigned moved_out = inside(earlier, loop) & ~inside(order, loop);
            if ((several >> loop & 1) && (moved_out & several)) differs = true;
        }
        if (!differs) return false;
    }
    return true;
}

void fill_orders(Order *orders, unsigned among) {
    for (int order = 0; order < ORDERS; order++) {
        Order *o = &orders[order];
        for (int loop = 0; loop < LOOPS; loop++) o->inside[loop] = inside(order, loop);
        for (int operand = 0; operand < OPERANDS; operand++) o->whole[operand] = held_whole(operand, order);
        for (unsigned several = 0; several < 1 << LOOPS; several++)
            o->distinct[several] = is_distinct(order, several, among);
        o->pixels_outside = o->inside[S] >> K & 1;
    }
}

void tiling_of(const State *s, int64_t pixel, int64_t channel, Tiling *t) {
    const Problem *p = &s->problem;
    t->pixel = pixel;
    t->channel = channel;
    int64_t *size = &t->size.n, *last = &t->last.n;
    for (int axis = 0; axis < 3; axis++) {
        size[axis] = s->pixels[SIZE + axis][pixel];
        last[axis] = s->pixels[LAST + axis][pixel];
        t->tiles[axis] = s->pixels[TILES + axis][pixel];
        size[3 + axis] = s->channels[SIZE + axis][channel];
        last[3 + axis] = s->channels[LAST + axis][channel];
        t->tiles[3 + axis] = s->channels[TILES + axis][channel];
    }
    t->loops[N] = t->tiles[AXIS_N];
    t->loops[S] = t->tiles[AXIS_Y] * t->tiles[AXIS_X];
    t->loops[K] = t->tiles[AXIS_K];
    t->loops[C] = t->tiles[AXIS_C];
    t->several = 0;
    for (int loop = 0; loop < LOOPS; loop++) t->several |= (unsigned)(t->loops[loop] > 1) << loop;
    for (int operand = 0; operand < OPERANDS; operand++)
        t->changes[operand] = t->tiles[AXIS_G] > 1 || (t->several & OWN[operand]);
    t->total = s->pixels[TOTAL][pixel];
    t->first = s->pixels[FIRST][pixel];
    t->largest = s->pixels[LARGEST][pixel];
    t->once = s->pixels[ONCE][pixel];
    t->apart = s->pixels[APART][pixel] != 0;
    t->halos = t->once < t->total;
    const Tile *z = &t->size;
    double outputs = (double)(z->n * z->y * z->x) * (double)(z->g * z->k);
    double weights = (double)(z->g * z->k * z->c);
    t->slots[INPUTS] = (double)(t->largest * z->c * z->g) * (double)p->input_bits;
    t->slots[WEIGHTS] = weights * (double)(taps_of(p) * p->factor_bits);
    t->slots[OUTPUTS] = outputs * (double)p->accumulator_bits;
    t->beside = outputs * (double)p->second;
    double windows = (double)s->pixels[LAST_WINDOWS][pixel] * (double)(t->last.g * t->last.k);
    t->startup[INPUTS] = (double)(t->first * z->g * z->c) * (double)p->input_bits;
    t->startup[WEIGHTS] = weights * s->stored_slice + (double)p->constants;
    t->startup[OUTPUTS] = windows * (double)p->output_bits;
}

/* How often each element of an operand is fetched if it does not stay, halos apart. */
static int64_t refetches(const Order *order, int operand, const Tiling *t) {
    int64_t result = 1;
    for (int loop = 0; loop < LOOPS; loop++)
        if (!(OWN[operand] >> loop & 1) && (order->inside[loop] & OWN[operand] & t->several))
            result *= t->loops[loop];
    return result;
}

/* Whether the first tile of what comes after arrives where the last one of what is given up is still read. */
static bool collides(int operand, unsigned whole, const Tiling *t) {
    bool several = t->several & whole, shared = false;
    bool given_up = (t->several & OWN[operand] & ~whole) || t->tiles[AXIS_G] > 1;
    if (operand == INPUTS && (whole & IN_S)) { /* neighbours share halos */
        shared = !t->apart && !(t->several & IN_C);
        if (whole & IN_N) shared = shared && !(t->several & IN_N);
    }
    return given_up && (!several || shared);
}

/* Partial sums that stay. */
static int64_t waiting_of(const State *s, const Tiling *t, const Order *order) {
    const Problem *p = &s->problem;
    const Tile *z = &t->size;
    unsigned sums = order->whole[OUTPUTS];
    int64_t pixels = (sums & IN_N ? p->n : z->n) * (sums & IN_S ? p->y * p->x : z->y * z->x);
    return pixels * (sums & IN_K ? p->k : z->k) * z->g;
}

/* Bits of each operand that stays. */
static void held_of(const State *s, const Tiling *t, const Order *order, double *held) {
    const Problem *p = &s->problem;
    const Tile *z = &t->size;
    unsigned inputs = order->whole[INPUTS];
    int64_t images = inputs & IN_N ? p->n : z->n;
    int64_t pixels = inputs & IN_S ? t->once / p->n * images : t->largest;
    held[INPUTS] = (double)(pixels * (inputs & IN_C ? p->c : z->c) * z->g) * (double)p->input_bits;
    double all_weights = (double)(z->g * p->k * p->c) * (double)(taps_of(p) * p->factor_bits);
    held[WEIGHTS] = order->whole[WEIGHTS] ? all_weights : t->slots[WEIGHTS];
    held[OUTPUTS] = (double)waiting_of(s, t, order) * (double)p->accumulator_bits;
}

bool nest_of(const State *s, const Tiling *t, int number, Nest *nest) {
    const Memory *memory = s->in->memory;
    const Order *order = &s->orders[number];
    unsigned whole = order->whole[INPUTS];
    bool is_new = order->distinct[t->several];
    /* In the loops of an earlier order halos alone are saved. */
    if (!is_new && !(memory->stays && (whole & IN_S) && t->halos && ((t->several | whole) & IN_N))) return false;
    double held[OPERANDS];
    held_of(s, t, order, held);
    int64_t channels = order->pixels_outside ? s->problem.k : t->size.k;
    double windows = (double)(s->pixels[KEPT][t->pixel] * s->pooling.open_bits);
    nest->open = windows * (double)(t->size.g * channels);
    /* Where input channels are the innermost loop that iterates, no two steps in a row finish outputs. */
    bool sums_last = (t->several & IN_C) && !(order->inside[C] & t->several);
    double two_beside = t->beside * (1.0 + (memory->is_double[INPUTS] && t->changes[OUTPUTS] && !sums_last));
    for (int operand = 0; operand < OPERANDS; operand++) {
        double *bits = nest->bits[operand], slot = t->slots[operand];
        bool second = memory->is_double[operand] && t->changes[operand];
        bits[STAYS_SINGLE] = operand == INPUTS ? held[operand] + t->beside : INFINITY;
        if (memory->is_double[operand] && collides(operand, order->whole[operand], t)) held[operand] += slot;
        nest->fetches[operand] = refetches(order, operand, t);
        bool again = nest->fetches[operand] > 1, useful = again && memory->stays;
        bits[STAYS] = held[operand];
        bits[SLOTS] = slot * (1.0 + second);
        bits[SINGLE] = slot;
        if (operand == INPUTS) {
            bits[STAYS] += two_beside;
            bits[SLOTS] += two_beside;
            bits[SINGLE] += t->beside;
            second = second || two_beside > t->beside;
            if (whole & IN_S) {
                bool saved = t->halos && memory->stays;
                if (!is_new) bits[SLOTS] = bits[SINGLE] = INFINITY;
                useful = saved || (is_new && useful);
            }
        }
        if (operand == WEIGHTS) {
            nest->reused = nest->fetches[operand] < t->loops[N] * t->loops[S];
            if (memory->weights_bits) { /* a part of the buffer of their own */
                double part = (double)memory->weights_bits;
                bits[STAYS] = held[operand] > part ? INFINITY : 0;
                bits[SLOTS] = bits[SINGLE] = slot > part && nest->reused ? INFINITY : 0;
                second = false;
            }
        }
        if (operand == OUTPUTS && memory->accumulators && (t->several & IN_C)) { /* sums that wait have a place each */
            if (waiting_of(s, t, order) > memory->accumulators) bits[STAYS] = INFINITY;
            if (t->size.n * t->size.y * t->size.x * t->size.g * t->size.k > memory->accumulators)
                bits[SLOTS] = bits[SINGLE] = INFINITY;
        }
        if (!(useful && bits[STAYS_SINGLE] < bits[STAYS])) bits[STAYS_SINGLE] = INFINITY;
        if (!useful) bits[STAYS] = INFINITY;
        if (!(second && memory->stays)) bits[SINGLE] = INFINITY;
        if ((memory->required >> operand & 1) && again) bits[SLOTS] = bits[SINGLE] = INFINITY;
    }
    return true;
}

double together_in_parts(const State *s, double inputs, double weights, double sums, double open) {
    const Memory *memory = s->in->memory;
    const Problem *p = &s->problem;
    double found = 0;
    double outputs = sums;
    if (memory->is_finished && !isinf(sums))
        outputs = sums / (double)p->accumulator_bits * (double)p->output_bits;
    for (int64_t number = 0; number < memory->parts; number++) {
        const Part *part = &memory->part[number];
        double taken = 0;
        if (part->holds >> INPUTS & 1) taken += inputs;
        if (part->holds >> WEIGHTS & 1) taken += weights;
        if (part->holds >> OUTPUTS & 1) taken += outputs + open;
        if ((part->holds & HOLDS_PSUMS) && memory->is_finished) taken += sums;
        if (part->holds >> INPUTS & 1) taken += (double)p->resident;
        if (part->holds >> WEIGHTS & 1) taken += (double)p->beside;
        found = larger(found, part->bits > 0 ? taken / part->bits * memory->whole : taken);
    }
    return found;
}

static double footprint_of(const State *s, const Nest *nest, const int *levels) {
    return together(s, nest->bits[INPUTS][levels[INPUTS]], nest->bits[WEIGHTS][levels[WEIGHTS]],
                    nest->bits[OUTPUTS][levels[OUTPUTS]], nest->open);
}

static Moved moved_of(const State *s, const Tiling *t, int order, const Nest *nest, const int *levels) {
    const Problem *p = &s->problem;
    int64_t outputs = p->g * p->k * p->n * p->y * p->x;
    bool whole = does_stay(levels[INPUTS]) && (s->orders[order].whole[INPUTS] & IN_S);
    int64_t fetches[OPERANDS];
    for (int operand = 0; operand < OPERANDS; operand++)
        fetches[operand] = does_stay(levels[operand]) ? 1 : nest->fetches[operand];
    int64_t inputs = (whole ? t->once : t->total) * (p->g * p->c * p->input_bits);
    int64_t weights = p->g * p->k * p->c * taps_of(p) * p->factor_bits;
    return (Moved){
        .inputs = inputs * fetches[INPUTS] + outputs * p->second,
        .weights = p->stored_weights * fetches[WEIGHTS] + p->constants,
        .outputs = p->g * p->k * s->pooling.outputs * p->output_bits,
        .sums = 2 * (fetches[OUTPUTS] - 1) * outputs * p->accumulator_bits,
        .unpacked = weights * fetches[WEIGHTS] + p->constants,
    };
}

static void enter(const State *s, const Tiling *t, int order, const Nest *nest, const int *levels, Mode *mode) {
    mode->order = order;
    memcpy(mode->levels, levels, sizeof mode->levels);
    mode->moved = moved_of(s, t, order, nest, levels);
    mode->traffic = (double)all_moved(&mode->moved);
}

/* Whether a mode that holds an operand at a better level fits, too. */
static bool is_beaten(const State *s, const Nest *nest, const int *levels) {
    int better[OPERANDS];
    memcpy(better, levels, sizeof better);
    for (int operand = 0; operand < OPERANDS; operand++) {
        for (int level = 0; level < levels[operand]; level++) {
            if (level & ~levels[operand]) continue;
            better[operand] = level;
            if (footprint_of(s, nest, better) <= s->rates->room) return true;
        }
        better[operand] = levels[operand];
    }
    return false;
}

/* The modes of an order that can be the best on the machine. */
int modes_of(const State *s, const Tiling *t, int order, const Nest *nest, Mode *modes) {
    int levels[OPERANDS], count = 0;
    for (int operand = 0; operand < OPERANDS; operand++)
        levels[operand] = isfinite(nest->bits[operand][STAYS]) ? STAYS : SLOTS;
    if (footprint_of(s, nest, levels) <= s->rates->room) {
        enter(s, t, order, nest, levels, modes);
        return 1;
    }
    static const int OF_ANOTHER[OF_OTHERS] = {STAYS, SLOTS, SINGLE};
    for (int number = 0; number < PER_ORDER; number++) {
        levels[INPUTS] = number / (OF_OTHERS * OF_OTHERS);
        levels[WEIGHTS] = OF_ANOTHER[number / OF_OTHERS % OF_OTHERS];
        levels[OUTPUTS] = OF_ANOTHER[number % OF_OTHERS];
        if (footprint_of(s, nest, levels) <= s->rates->room && !is_beaten(s, nest, levels))
            enter(s, t, order, nest, levels, &modes[count++]);
    }
    return count;
}

/* The level in which an operand that stays takes the fewest bits. */
static int lowest_that_stays(const Nest *nest, int operand) {
    return nest->bits[operand][STAYS_SINGLE] < nest->bits[operand][STAYS] ? STAYS_SINGLE : STAYS;
}

/* The level at which an operand takes the fewest bits. */
static int lowest_of(const Nest *nest, int operand) {
    const double *bits = nest->bits[operand];
    int lowest = bits[SINGLE] <= bits[SLOTS] ? SINGLE : SLOTS, stays = lowest_that_stays(nest, operand);
    return bits[stays] < bits[lowest] ? stays : lowest;
}

/* Bits of the buffer that an order takes at least; inf: it has no mode. */
double footprint_at_least(const State *s, const Nest *nest) {
    const int lowest[OPERANDS] = {lowest_of(nest, INPUTS), lowest_of(nest, WEIGHTS), lowest_of(nest, OUTPUTS)};
    return footprint_of(s, nest, lowest);
}

/* Traffic that an order moves at least: each operand stays that fits beside the others' least; inf: nothing fits. */
double traffic_at_least(const State *s, const Tiling *t, int order, const Nest *nest) {
    int lowest[OPERANDS], levels[OPERANDS];
    for (int operand = 0; operand < OPERANDS; operand++) lowest[operand] = lowest_of(nest, operand);
    if (!(footprint_of(s, nest, lowest) <= s->rates->room)) return INFINITY;
    for (int operand = 0; operand < OPERANDS; operand++) {
        int before = lowest[operand];
        lowest[operand] = lowest_that_stays(nest, operand);
        levels[operand] = footprint_of(s, nest, lowest) <= s->rates->room ? STAYS : SLOTS;
        lowest[operand] = before;
    }
    Moved moved = moved_of(s, t, order, nest, levels);
    return (double)all_moved(&moved);
}

/* Bits of so many weights as their memory stores them (`Workload.moved_weights`). */
int64_t moved_weights(const State *s, int64_t count) {
    const Problem *p = &s->problem;
    if (!s->in->memory->compressed) return count * p->factor_bits;
    int64_t weights = p->g * p->k * p->c * taps_of(p);
    int64_t each = p->stored_weights / weights, rest = p->stored_weights % weights;
    double more = (double)count * ((double)rest / (double)weights) * (1 - 1e-12);
    return count * each + (int64_t)rounded_to_integer(more);
}
