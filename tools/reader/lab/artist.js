// Who draws what is wanted: one thing at a time, a sketch at once, the finished picture when nothing newer is wanted.
const REST = 120; // after so many milliseconds without a newer wish, the picture is finished

class Superseded extends Error {}

export class Artist {
  #wanted = null;
  #working = false;
  #woken = () => {};

  // sketch(wish): is always finished, so that a long drag shows some. finish(wish, tick): tick() ends it for a newer one.
  constructor({ sketch, finish, failed }) {
    Object.assign(this, { sketch, finish, failed });
  }

  want(wish) {
    this.#wanted = wish;
    this.#woken();
    if (!this.#working) this.#work();
  }

  async #work() {
    this.#working = true;
    try {
      while (this.#wanted) {
        const wish = this.#wanted;
        this.#wanted = null;
        await this.sketch(wish);
        await this.#rest();
        if (!this.#wanted) await this.#finishUnlessWanted(wish);
      }
    } catch (error) {
      this.failed(error);
    } finally {
      this.#working = false;
    }
  }

  // Until a newer wish comes, or nothing came for a while.
  #rest() {
    if (this.#wanted) return;
    return new Promise((resolve) => {
      this.#woken = resolve;
      setTimeout(resolve, REST);
    });
  }

  async #finishUnlessWanted(wish) {
    const tick = () => {
      if (this.#wanted) throw new Superseded();
    };
    try {
      await this.finish(wish, tick);
    } catch (error) {
      if (!(error instanceof Superseded)) throw error;
    }
  }
}
