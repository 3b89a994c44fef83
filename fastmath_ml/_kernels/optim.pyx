"""Optimizer steps and gradient norms over lists of arrays, one call of the pool for a whole list.

The arrays of a list are cut into blocks of BLOCK elements that are numbered through; a thread that
claims blocks finds their array by bisection. An element of a step depends on nothing but itself
(optimizer.h has the rules), so the threads cannot change a result; the norm is an ordered
reduction over the same blocks.
"""

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cython cimport floating as real
from libc.math cimport pow, sqrt

cimport numpy as cnp

from fastmath_ml._kernels.plain cimport is_plain
from fastmath_ml._kernels.pool cimport ordered_reduce, parallel_for
from fastmath_ml._kernels.simd cimport ceil_div, vec, vlanes, vload, vload_partial, vmul_add, vsum
from fastmath_ml._kernels.sums cimport add_number
from fastmath_ml._kernels.sweeps cimport scale_line

cnp.import_array()

cdef extern from "optimizer.h" namespace "fm" nogil:
    cdef struct step_rule:
        int rule
        bint has_momentum, nesterov, centered, amsgrad
        double sign, weight_decay, shrink, lr, eps, momentum
        double keep1, rate1, keep2, rate2, root_scale

    cdef struct step_item:
        Py_ssize_t itemsize, n, first_block
        void* param
        const void* grad
        void* state[3]
        step_rule rule

    int rule_sgd, rule_rmsprop, rule_adagrad, rule_adam
    void take_step[T](const step_item& item, Py_ssize_t begin, Py_ssize_t end, T) noexcept

cdef enum:
    BLOCK = 4096
    KEEP_GIL = 2048             # elements in all below which the GIL is not worth releasing

RULES = {"sgd": rule_sgd, "rmsprop": rule_rmsprop, "adagrad": rule_adagrad, "adam": rule_adam}


cdef struct Items:
    step_item* items
    Py_ssize_t n_items
    double factor               # of scale_body


cdef Py_ssize_t number_blocks(Items* items) noexcept nogil:
    """Number the blocks through; how many there are."""
    cdef Py_ssize_t i, n_blocks = 0
    for i in range(items.n_items):
        items.items[i].first_block = n_blocks
        n_blocks += ceil_div(items.items[i].n, BLOCK)
    return n_blocks


cdef Py_ssize_t item_of(const Items* items, Py_ssize_t block) noexcept nogil:
    """The last array that begins at this block or before: it is the one that has elements."""
    cdef Py_ssize_t low = 0, high = items.n_items, middle
    while high - low > 1:
        middle = (low + high) // 2
        if items.items[middle].first_block <= block:
            low = middle
        else:
            high = middle
    return low


# ---- steps ----

cdef void step_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    cdef const Items* items = <const Items*>context
    cdef Py_ssize_t at = item_of(items, begin), first, last
    cdef const step_item* item
    while begin < end:
        item = items.items + at
        first = (begin - item.first_block) * BLOCK
        last = min((end - item.first_block) * BLOCK, item.n)
        if first < last:
            if item.itemsize == 4:
                take_step(item[0], first, last, <float>0)
            else:
                take_step(item[0], first, last, <double>0)
            begin = item.first_block + ceil_div(last, BLOCK)
        at += 1


cdef class Stepper:
    """The arrays that one optimizer updates, with their state, and the numbers of its rule.

    The caller has made sure that parameters and state are contiguous, writeable, float32 or
    float64 in the machine's byte order, each state of its parameter's dtype and size.
    """
    cdef readonly list params
    cdef readonly list states           # one list of arrays per parameter
    cdef readonly bint is_direct        # the caller's own arrays, in C order
    cdef Items items
    cdef Py_ssize_t n_elements
    cdef Py_ssize_t* n_steps
    cdef Py_ssize_t* sizes              # of the parameters, which their states have too
    cdef step_rule rule
    cdef bint decoupled
    cdef public double lr, lr_decay, beta1, beta2, weight_decay, dampening

    def __cinit__(self, list params, list states, bint is_direct, dict numbers):
        cdef Py_ssize_t i
        cdef int k
        cdef cnp.ndarray param, state
        self.params = params
        self.states = states
        self.is_direct = is_direct
        self.items.n_items = len(params)
        self.items.items = <step_item*>PyMem_Calloc(max(1, len(params)), sizeof(step_item))
        self.n_steps = <Py_ssize_t*>PyMem_Calloc(max(1, len(params)), sizeof(Py_ssize_t))
        self.sizes = <Py_ssize_t*>PyMem_Calloc(max(1, len(params)), sizeof(Py_ssize_t))
        if self.items.items == NULL or self.n_steps == NULL or self.sizes == NULL:
            raise MemoryError()
        self.lr = numbers["lr"]
        self.lr_decay = numbers.get("lr_decay", 0)
        self.beta1, self.beta2 = numbers.get("betas", (0, 0))
        self.weight_decay = numbers["weight_decay"]
        self.dampening = numbers.get("dampening", 0)
        self.decoupled = numbers.get("decoupled_weight_decay", False)
        self.rule.rule = numbers["rule"]
        self.rule.momentum = numbers.get("momentum", 0)
        self.rule.has_momentum = self.rule.momentum != 0
        self.rule.nesterov = numbers.get("nesterov", False)
        self.rule.centered = numbers.get("centered", False)
        self.rule.amsgrad = numbers.get("amsgrad", False)
        self.rule.sign = -1 if numbers["maximize"] else 1
        self.rule.eps = numbers.get("eps", 0)
        for i in range(self.items.n_items):
            param = params[i]
            self.items.items[i].itemsize = cnp.PyArray_ITEMSIZE(param)
            self.items.items[i].n = self.sizes[i] = cnp.PyArray_SIZE(param)
            for k in range(len(states[i])):
                state = states[i][k]
                self.items.items[i].state[k] = cnp.PyArray_DATA(state)
            self.n_elements += self.items.items[i].n

    def __dealloc__(self):
        PyMem_Free(self.items.items)
        PyMem_Free(self.n_steps)
        PyMem_Free(self.sizes)

    def get_steps(self, Py_ssize_t i):
        """How many steps parameter i has taken."""
        return self.n_steps[i]

    def set_steps(self, Py_ssize_t i, Py_ssize_t n_steps):
        self.n_steps[i] = n_steps

    cdef void set_numbers(self, step_item* item, Py_ssize_t step) noexcept:
        """The numbers of the step-th step of an array, counted from 1."""
        cdef step_rule* r = &item.rule
        r[0] = self.rule
        r.lr = self.lr
        r.shrink = 1
        if self.decoupled:
            r.weight_decay = 0
            r.shrink = 1 - self.lr * self.weight_decay
        else:
            r.weight_decay = self.weight_decay
        if r.rule == rule_sgd:
            # The first momentum is the gradient itself, without dampening.
            r.keep1 = r.momentum if step > 1 else 0
            r.rate1 = 1 - self.dampening if step > 1 else 1
        elif r.rule == rule_rmsprop:
            r.keep2 = self.beta2
            r.rate2 = 1 - self.beta2
        elif r.rule == rule_adagrad:
            r.lr = self.lr / (1 + (step - 1) * self.lr_decay)
        else:
            r.rate1 = 1 - self.beta1
            r.keep2 = self.beta2
            r.rate2 = 1 - self.beta2
            r.lr = self.lr / (1 - pow(self.beta1, step))
            r.root_scale = 1 / sqrt(1 - pow(self.beta2, step))

    cdef bint bind(self, Py_ssize_t i, grad) except -1:
        """Point item i at its arrays; False where the gradient is not as the parameter is."""
        cdef cnp.ndarray param = self.params[i], g
        cdef step_item* item = self.items.items + i
        cdef char* p
        cdef char* q
        if grad is None:
            item.n = 0
            return True
        if not is_plain(grad, cnp.PyArray_TYPE(param)):
            return False
        g = grad
        if not (cnp.PyArray_SAMESHAPE(g, param) and cnp.PyArray_ISCARRAY(param)
                and cnp.PyArray_SIZE(param) == self.sizes[i]):
            return False
        p = <char*>cnp.PyArray_DATA(param)
        q = <char*>cnp.PyArray_DATA(g)
        item.n = self.sizes[i]
        if p != q and p < q + item.n * item.itemsize and q < p + item.n * item.itemsize:
            return False
        item.param = p
        item.grad = q
        return True

    def step(self, grads, bint is_ready=False):
        """Update all parameters; False, and nothing done, where the gradients are not so plain.

        One array or a list or tuple of them: exact ndarrays in C order of the parameters' dtypes
        and shapes, None for a parameter that stays as it is. `is_ready`: the caller has made the
        parameters ready where they are not is_direct.
        """
        cdef Py_ssize_t i, n_blocks
        cdef Items* items = &self.items
        cdef Py_ssize_t count
        if not (self.is_direct or is_ready):
            return False
        if cnp.PyArray_CheckExact(grads):
            if items.n_items != 1:
                return False
            if not self.bind(0, grads):
                return False
        elif isinstance(grads, (list, tuple)):
            if len(grads) != items.n_items:
                return False
            if self.n_elements >= KEEP_GIL:
                grads = tuple(grads)  # another thread may change a list while the GIL is released
            for i in range(items.n_items):
                if not self.bind(i, grads[i]):
                    return False
        else:
            return False
        for i in range(items.n_items):
            if items.items[i].n or cnp.PyArray_SIZE(self.params[i]) == 0:
                count = self.n_steps[i] + 1
                self.n_steps[i] = count
                if i and self.n_steps[i - 1] == count and items.items[i - 1].n:
                    items.items[i].rule = items.items[i - 1].rule
                else:
                    self.set_numbers(items.items + i, count)
        n_blocks = number_blocks(items)
        if self.n_elements < KEEP_GIL:
            if n_blocks:
                step_body(0, n_blocks, items)
        else:
            with nogil:
                # 28 bytes an element at 25 GB/s, from a core.
                parallel_for(n_blocks, 1, 0.8 * self.n_elements, step_body, items)
        return True


# ---- norms ----

cdef double sum_of_squares(const real* x, Py_ssize_t n) noexcept nogil:
    """Of at most BLOCK elements: chains of at most 1024 additions in the dtype."""
    cdef Py_ssize_t lanes = vlanes(<real>0), i = 0
    cdef vec[real] s0, s1, value
    while i + 2 * lanes <= n:
        value = vload(x + i)
        s0 = vmul_add(value, value, s0)
        value = vload(x + i + lanes)
        s1 = vmul_add(value, value, s1)
        i += 2 * lanes
    while i < n:
        value = vload_partial(x + i, min(lanes, n - i))
        s0 = vmul_add(value, value, s0)
        i += lanes
    return vsum(s0 + s1)


cdef void norm_segment(Py_ssize_t begin, Py_ssize_t end, void* partial,
                       void* context) noexcept nogil:
    """One block: begin + 1 == end."""
    cdef const Items* items = <const Items*>context
    cdef const step_item* item = items.items + item_of(items, begin)
    cdef Py_ssize_t first = (begin - item.first_block) * BLOCK
    cdef Py_ssize_t n = min(<Py_ssize_t>BLOCK, item.n - first)
    if item.itemsize == 4:
        (<double*>partial)[0] = sum_of_squares(<const float*>item.grad + first, n)
    else:
        (<double*>partial)[0] = sum_of_squares(<const double*>item.grad + first, n)


cdef void scale_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    cdef const Items* items = <const Items*>context
    cdef Py_ssize_t at = item_of(items, begin), first, last
    cdef const step_item* item
    while begin < end:
        item = items.items + at
        first = (begin - item.first_block) * BLOCK
        last = min((end - item.first_block) * BLOCK, item.n)
        if first < last:
            if item.itemsize == 4:
                scale_line(<float*>item.param + first, last - first, <float>items.factor)
            else:
                scale_line(<double*>item.param + first, last - first, items.factor)
            begin = item.first_block + ceil_div(last, BLOCK)
        at += 1


cdef class ArrayList:
    """Arrays as one sequence of blocks: their norm, and their scaling in place.

    Contiguous, float32 or float64 in the machine's byte order; the caller has checked this.
    """
    cdef list arrays
    cdef Items items
    cdef Py_ssize_t n_elements, n_blocks

    def __cinit__(self, list arrays):
        cdef Py_ssize_t i
        cdef cnp.ndarray x
        self.arrays = arrays
        self.items.n_items = len(arrays)
        self.items.items = <step_item*>PyMem_Calloc(max(1, len(arrays)), sizeof(step_item))
        if self.items.items == NULL:
            raise MemoryError()
        for i in range(self.items.n_items):
            x = arrays[i]
            self.items.items[i].itemsize = cnp.PyArray_ITEMSIZE(x)
            self.items.items[i].n = cnp.PyArray_SIZE(x)
            self.items.items[i].param = cnp.PyArray_DATA(x)
            self.items.items[i].grad = cnp.PyArray_DATA(x)
            self.n_elements += self.items.items[i].n
        self.n_blocks = number_blocks(&self.items)

    def __dealloc__(self):
        PyMem_Free(self.items.items)

    def sum_of_squares(self):
        """Of all elements, the blocks' sums added in float64."""
        cdef double total = 0
        with nogil:
            ordered_reduce(self.n_blocks, 1, sizeof(double), 0.15 * self.n_elements, norm_segment,
                           add_number, &total, &self.items)
        return total

    def scale(self, double factor):
        """x *= factor, in place."""
        self.items.factor = factor
        with nogil:
            parallel_for(self.n_blocks, 1, 0.25 * self.n_elements, scale_body, &self.items)
