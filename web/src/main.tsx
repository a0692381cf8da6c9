import { Component, type ReactNode, StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app.tsx';
import { text } from './text.ts';
import { Button } from './ui/controls.tsx';
import './styles.css';

/** A page that met an error of its own says so, instead of turning white. */
class Boundary extends Component<{ children: ReactNode }, { failed: boolean }> {
  override state = { failed: false };
  static getDerivedStateFromError() {
    return { failed: true };
  }
  override render() {
    if (!this.state.failed) return this.props.children;
    return (
      <main className="grid h-full place-items-center p-6 text-center">
        <div role="alert">
          <h1 className="mb-2 font-serif text-2xl">{text.failure.title}</h1>
          <p className="mb-5 text-quiet">{text.failure.body}</p>
          <Button kind="primary" onClick={() => location.reload()}>
            {text.failure.reload}
          </Button>
        </div>
      </main>
    );
  }
}

const root = document.getElementById('app');
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <Boundary>
        <App />
      </Boundary>
    </StrictMode>,
  );
}
