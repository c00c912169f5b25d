using System;
using System.Collections;
using System.Collections.Generic;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Framewire;
using UnityEngine;

/// What fragments use without declaring it.
public class Usual : MonoBehaviour
{
    protected WebSocket socket;
    protected string text;
    protected byte[] data;
    protected int size;
    protected Uri uri;
    protected CancellationToken cancellation;
}
