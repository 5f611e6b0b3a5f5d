// A manager's door for peers: the listening socket, and the connections of those who were let in.

import { describe } from '../describe.js';
import { AddressInUseError, type BosunError, ListenError } from '../errors.js';
import type { NativeDispatcher } from '../native.js';
import type { ClosePolicy } from './close.js';
import { type ListenAddress, Listener } from './listener.js';
import type { ManagerSettings } from './options.js';
import { Peers, type PeersOwner } from './peers.js';

export interface GatewayOwner extends PeersOwner {
  /** Peers can connect. */
  opened(): void;
  /** They never will. */
  failed(error: BosunError): void;
}

export class Gateway {
  readonly peers: Peers;
  readonly #listener: Listener | undefined;
  #isOpen: boolean;
  #isClosing = false;

  /** Begins to listen, if there are settings for it. */
  constructor({ listen: settings, policy }: ManagerSettings, dispatcher: NativeDispatcher, owner: GatewayOwner) {
    this.peers = new Peers(dispatcher, policy, owner);
    this.#isOpen = settings === undefined;
    if (settings === undefined) return;
    this.#listener = new Listener(settings, {
      admit: (socket, rest) => this.peers.admit(socket, rest),
      refused: (address, reason) => owner.refused(address, reason),
    });
    void this.#open(this.#listener, owner);
  }

  /** True when peers can connect, or nobody wants them to. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  get address(): ListenAddress | undefined {
    return this.#listener?.address;
  }

  async #open(listener: Listener, owner: GatewayOwner): Promise<void> {
    try {
      await listener.open();
      this.#isOpen = true;
      owner.opened();
    } catch (error) {
      if (this.#isClosing) return;
      const text = `the manager cannot listen: ${describe(error)}`;
      owner.failed(error instanceof AddressInUseError ? error : new ListenError(text, { cause: error }));
    }
  }

  /** Nobody comes in any more, and all are asked to leave; those that run a task may take `grace` for it. */
  async stop(policy: ClosePolicy, grace: number): Promise<void> {
    this.#isClosing = true;
    await Promise.all([this.peers.stop(policy, grace), this.#listener?.close(grace)]);
  }
}
